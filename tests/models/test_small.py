import pytest
import torch
import torch.nn.functional as F

from mdseg.models.small import small

torch.set_num_threads(1)


@pytest.mark.parametrize("size", [(96, 192), (37, 61), (32, 33)])
def test_logits_come_at_stride_4_for_any_size(size):
    model = small(num_classes=70)
    assert model(torch.zeros(2, 3, *size, dtype=torch.uint8)).shape == (2, 70, -(-size[0] // 4), -(-size[1] // 4))
    assert model.input_multiple == 1


@pytest.mark.parametrize("training", [True, False])
def test_one_image_and_narrow_widths_work(training):
    model = small(num_classes=3, widths=(8, 8, 8, 8, 8)).train(training)
    assert model(torch.zeros(1, 3, 40, 72, dtype=torch.uint8)).shape == (1, 3, 10, 18)


def test_the_same_seed_builds_and_runs_the_same_network():
    image = torch.randint(0, 256, (2, 3, 48, 64), dtype=torch.uint8)
    gradients = []
    for _ in range(2):
        torch.manual_seed(3)
        model = small(num_classes=5)
        model(image).square().mean().backward()
        gradients.append(model.backbone.stem[0].weight.grad)
    assert torch.equal(*gradients)


def test_a_checkpoint_restores_the_logits():
    image = torch.rand(1, 3, 40, 40) * 255
    trained, restored = small(num_classes=5), small(num_classes=5)
    trained(image)  # moves the batch statistics
    restored.load_state_dict(trained.state_dict())
    assert torch.equal(trained.eval()(image), restored.eval()(image))


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_it_learns_to_tell_bright_from_dark(head):
    torch.manual_seed(0)
    model = small(2, head=head, widths=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1), feature_width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    image = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    image[..., 16:] = 255
    mask = (image[:, 0, ::4, ::4] > 0).long()
    losses = []
    for _ in range(12):
        loss = F.cross_entropy(model(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_it_runs_under_autocast_with_logits_in_float32():
    model = small(num_classes=7)
    with torch.autocast("cpu", torch.bfloat16):
        features = model.features(torch.zeros(1, 3, 32, 64, dtype=torch.uint8))
        logits = model.classify(features)
    logits.sum().backward()
    assert features.dtype == torch.bfloat16
    assert logits.dtype == torch.float32


TINY = {"widths": (8, 8, 8, 16, 8), "blocks": (1, 1, 1, 1), "feature_width": 8}


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_a_loss_on_the_low_head_reaches_the_first_three_stages_and_nothing_else(head):
    model = small(3, head=head, low_head=True, **TINY)
    model.levels(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)).low.square().mean().backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    below = ("low_head.", "backbone.stem.", *(f"backbone.stages.{stage}." for stage in range(3)))
    assert reached == {name for name, _ in model.named_parameters() if name.startswith(below)}
    assert all(parameter.grad.any() for parameter in model.low_head.parameters() if parameter.dim() > 1)


def test_a_low_head_changes_no_other_weight_and_no_key():
    torch.manual_seed(0)
    plain = small(3, **TINY).state_dict()
    torch.manual_seed(0)
    with_low_head = small(3, low_head=True, **TINY).state_dict()
    assert {key for key in with_low_head if key not in plain} == {"low_head.weight"}
    assert all(torch.equal(with_low_head[key], value) for key, value in plain.items())
