"""Several networks as one: their logits beside each other."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mdseg.models.segmenter import Images
from mdseg.models.sizes import Size


class Joined(nn.Module):
    """Networks that see the same image, each once; their channels follow each other.

    Args:
        members: by name, in the order of their channels.

    Raises:
        ValueError: they subtract different means from images.
    """

    def __init__(self, members: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleDict(dict(members))
        self.input_multiple = math.lcm(*(getattr(member, "input_multiple", 1) for member in members.values()))
        means: list[Any] = [getattr(member, "mean", torch.zeros(())) for member in members.values()]
        if any(not torch.equal(mean, means[0]) for mean in means):
            raise ValueError(f"{', '.join(members)} subtract different means from images, so they cannot be joined")

    @property
    def mean(self) -> Tensor:
        """What all of them subtract from images, in 0..255."""
        member: Any = next(iter(self.members.values()))
        return member.mean

    def refusal(self, size: Size, images: int | None = None) -> str | None:
        """What the first of them says that does not take images of (height, width); null: all take them."""
        members: Any = self.members.values()
        said = (member.refusal(size, images) for member in members if hasattr(member, "refusal"))
        return next(filter(None, said), None)

    def forward(self, image: Images) -> Float[Tensor, "n k fh fw"]:
        """Logits at the resolution of the heads.

        Raises:
            ValueError: the networks' heads answer at different resolutions.
        """
        logits = {name: member(image) for name, member in self.members.items()}
        sizes = {name: tuple(each.shape[-2:]) for name, each in logits.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"networks whose logits differ in size cannot be merged: {sizes}; merge equal ones")
        return torch.cat(list(logits.values()), dim=1)


def joined(num_classes: int, members: Mapping[str, Any]) -> Joined:
    """Networks of a configuration, joined.

    Args:
        num_classes: channels of all of them together.

    Raises:
        ValueError: they have another number.
    """
    network = Joined(members)
    with torch.no_grad():
        found = network.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
    if found != num_classes:
        raise ValueError(f"the networks have {found} channels together, expected {num_classes}")
    return network
