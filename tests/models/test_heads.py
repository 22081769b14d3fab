import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.models.heads import CosineClassifier, classifier


def head_with(weight: torch.Tensor, temperature: float = 20.0) -> CosineClassifier:
    head = CosineClassifier(weight.shape[1], weight.shape[0], temperature)
    head.weight.data = weight
    return head


def test_cosine_logit_is_the_temperature_times_the_cosine():
    head = head_with(torch.tensor([[1.0, 0.0]]))
    logits = head(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1))
    torch.testing.assert_close(logits, torch.full((1, 1, 1, 1), 12.0))


@settings(deadline=None, max_examples=25)
@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_cosine_logits_ignore_the_scale_of_features_and_class_vectors(feature_scale, weight_scale, seed):
    generator = torch.Generator().manual_seed(seed)
    weight, features = torch.randn(5, 7, generator=generator), torch.randn(2, 7, 3, 4, generator=generator)
    scaled = head_with(weight * weight_scale)(features * feature_scale)
    torch.testing.assert_close(scaled, head_with(weight)(features), rtol=1e-4, atol=1e-4)


def test_cosine_logits_lie_within_the_temperature():
    features = torch.randn(2, 6, 8, 8)
    weight = torch.cat([features[0, :, 0, :4].T, -features[0, :, 0, :4].T])
    logits = head_with(weight, temperature=5.0)(features)
    assert logits.abs().max() <= 5.0 + 1e-5
    torch.testing.assert_close(logits[0, :4, 0, :4].diagonal(), torch.full((4,), 5.0))


def test_zero_features_give_zero_logits_and_zero_gradients():
    head = CosineClassifier(6, 4)
    features = torch.randn(1, 6, 2, 2)
    features[..., 0, 0] = 0
    features.requires_grad_()
    logits = head(features)
    (logits * torch.randn_like(logits)).sum().backward()
    assert (logits[..., 0, 0] == 0).all()
    assert (features.grad[..., 0, 0] == 0).all()
    assert features.grad.isfinite().all()
    assert head.weight.grad.isfinite().all()


def test_cosine_gradient_is_the_numerical_one():
    head = CosineClassifier(4, 3).double()
    features = torch.randn(2, 4, 2, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(head, features)


def test_cosine_logits_are_float32_under_autocast():
    head, features = CosineClassifier(8, 5), torch.randn(1, 8, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(features)
        low_precision = head(features.bfloat16())
    torch.testing.assert_close(logits, head(features))
    assert low_precision.dtype == torch.float32


def test_linear_head_is_a_biased_1x1_convolution():
    head = classifier("linear", 6, 4)
    assert head(torch.randn(2, 6, 3, 5)).shape == (2, 4, 3, 5)
    assert head.bias is not None


def test_unknown_head_is_an_error_that_names_the_choices():
    with pytest.raises(ValueError, match="'linear' or 'cosine'"):
        classifier("cosin", 6, 4)
