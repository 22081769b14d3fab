"""The public names of the losses, and the paths by which a configuration calls them."""

import pkgutil

import pytest
from hydra.utils import get_method
from omegaconf import OmegaConf

from mdseg import conf_dir, losses

FILES = sorted((conf_dir() / "loss").rglob("*.yaml"))


def test_no_public_name_hides_a_module():
    # Hydra follows attributes: it would find the function in place of the module that a `_target_` names.
    assert not set(losses.__all__) & {module.name for module in pkgutil.iter_modules(losses.__path__)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_configured_losses_are_public(path):
    target = OmegaConf.load(path).get("_target_")
    if target is not None:
        assert getattr(losses, target.rsplit(".", 1)[-1]) is get_method(target)
