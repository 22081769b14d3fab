"""Discriminators that tell the predictions on a target from those on labelled sources, and what both sides learn."""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mdseg.losses.unlabelled import one_of
from mdseg.models.discriminator import PatchDiscriminator
from mdseg.models.segmenter import Levels
from mdseg.system.wording import Remark

SEES = ("softmax", "self_information")
OBJECTIVES = ("vanilla", "least_squares")
SHARED = "all"  # the discriminator of a level that all branches share


class Verdict(NamedTuple):
    """What a discriminator's step has come to: its loss, and the shares of patches told rightly."""

    loss: Float[Tensor, ""]
    source_accuracy: Float[Tensor, ""]
    target_accuracy: Float[Tensor, ""]


class Adversary(nn.Module):
    r"""A discriminator for every level and branch of a segmenter.

    .. math:: L_{adv} = \ell(D(P(x_t)), 1), \quad
        L_d = \tfrac12 \ell(D(P(x_s)), 1) + \tfrac12 \ell(D(P(x_t)), 0)

    Tsai et al., CVPR 2018 (AdaptSegNet, arXiv:1802.10349); Vu et al., CVPR 2019 (AdvEnt, arXiv:1811.12833); with
    several branches Russo et al., ICIAP 2019. A source is 1 and the target 0, means are over patches.

    Args:
        branches: the channels of every branch, all as many.
        weights: level (`high`, `low`) → weight of its adversarial loss. Levels are those of
            :class:`~mdseg.models.segmenter.Levels`.
        sees: what discriminators look at: the probabilities (`softmax`, AdaptSegNet) or the weighted self-information
            -p log p / log C (`self_information`, AdvEnt).
        objective: `vanilla` (binary cross-entropy) or `least_squares` (Mao et al., ICCV 2017, arXiv:1611.04076).
        shared: one discriminator per level that sees all branches, instead of one for each.
        width: of the discriminators' first layer.
        align_corners: how logits are upsampled to the size of the images.

    Raises:
        ValueError: an option that is out of range, or branches of unequal numbers of classes.
    """

    def __init__(
        self,
        branches: Mapping[str, Int64[Tensor, " c"]],
        weights: Mapping[str, float | int],
        sees: str,
        objective: str,
        shared: bool,
        width: int,
        align_corners: bool,
    ) -> None:
        super().__init__()
        one_of("method.sees", sees, SEES)
        one_of("method.objective", objective, OBJECTIVES)
        if width < 1:
            raise ValueError(f"method.discriminator_width: expected at least 1, got {width}")
        self.branches, self.weights = dict(branches), dict(weights)
        self.sees, self.objective, self.shared, self.align_corners = sees, objective, shared, align_corners
        sizes = {name: len(channels) for name, channels in branches.items()}
        classes = next(iter(sizes.values()))
        if set(sizes.values()) != {classes}:
            raise ValueError(
                f"branches of {', '.join(f'{size} ({name})' for name, size in sizes.items())} classes: discriminators "
                "need as many in each; set label_space=branched19"
            )
        names = [SHARED] if shared else list(branches)
        self.discriminators = nn.ModuleDict(
            {level: nn.ModuleDict({name: PatchDiscriminator(classes, width) for name in names}) for level in weights}
        )

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every level with every branch."""
        return ((level, branch) for level in self.weights for branch in self.branches)

    def maps(self, logits: Float[Tensor, "n k h w"], branch: str, size: tuple[int, int]) -> Float[Tensor, "n c H W"]:
        """What a discriminator sees of a branch: a function of the softmax at the size of the images, in float32."""
        with torch.autocast(logits.device.type, enabled=False):
            own = logits[:, self.branches[branch].to(logits.device)]
            own = own.to(torch.promote_types(own.dtype, torch.float32))
            whole = F.interpolate(own, size, mode="bilinear", align_corners=self.align_corners)
            if self.sees == "softmax":
                return whole.softmax(dim=1)
            return weighted_self_information(whole)

    def verdict(self, level: str, branch: str, maps: Float[Tensor, "n c H W"]) -> Float[Tensor, "n 1 h w"]:
        """Logits of the discriminator that looks at a level and branch."""
        of_level: Any = self.discriminators[level]
        return of_level[SHARED if self.shared else branch](maps)

    def fooling(self, levels: Levels, size: tuple[int, int]) -> dict[tuple[str, str], Float[Tensor, ""]]:
        """Loss of the segmenter for every level and branch: how far a target's maps are from looking like a source's.

        Args:
            levels: logits of target images.
            size: height and width of these images.
        """
        return {
            (level, branch): judged(
                self.verdict(level, branch, self.maps(logits_of(levels, level), branch, size)), True, self.objective
            )
            for level, branch in self.pairs()
        }

    def telling(
        self,
        sources: Mapping[str, list[tuple[Levels, tuple[int, int]]]],
        target: tuple[Levels, tuple[int, int]],
    ) -> dict[tuple[str, str], Verdict]:
        """Loss of every discriminator, of logits without a gradient.

        Args:
            sources: branch → logits of the images that it has learnt from, and their sizes; several count equally, and
                a branch that has none does not play.
            target: those of target images.
        """
        verdicts = {}
        for level, branch in self.pairs():
            if branch not in sources:
                continue
            of_source = [
                self.verdict(level, branch, self.maps(logits_of(levels, level).detach(), branch, size))
                for levels, size in sources[branch]
            ]
            levels, size = target
            of_target = self.verdict(level, branch, self.maps(logits_of(levels, level).detach(), branch, size))
            loss = (
                torch.stack([judged(each, True, self.objective) for each in of_source]).mean()
                + judged(of_target, False, self.objective)
            ) / 2
            # The least-squares objective wants 1 and 0, the vanilla one a sign.
            middle = 0.5 if self.objective == "least_squares" else 0.0
            verdicts[level, branch] = Verdict(
                loss,
                torch.stack([(each.detach() > middle).float().mean() for each in of_source]).mean(),
                (of_target.detach() <= middle).float().mean(),
            )
        return verdicts


def logits_of(levels: Levels, level: str) -> Float[Tensor, "n k h w"]:
    """Logits of a level by its name."""
    return getattr(levels, level)


def judged(verdict: Float[Tensor, "n 1 h w"], source: bool, objective: str) -> Float[Tensor, ""]:
    """How far a verdict is from calling all patches a source's, or all the target's; the mean over patches."""
    wanted = torch.full_like(verdict, float(source))
    if objective == "least_squares":
        return F.mse_loss(verdict, wanted)
    return F.binary_cross_entropy_with_logits(verdict, wanted)


def weighted_self_information(logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    r"""Part that every class has in a pixel's normalised entropy.

    .. math:: I_c = -\frac{p_c \log p_c}{\log C}

    Vu et al., CVPR 2019 (arXiv:1811.12833), eq. 6. Between 0 and 1 / (e log C).
    """
    log_probs = logits.log_softmax(dim=1)
    return -(log_probs.exp() * log_probs) / math.log(max(logits.shape[1], 2))


LONG = 10  # rows of the log for which a discriminator has won or lost
WON = 0.999  # mean accuracy over both domains from which on it has won
LOST = 0.55  # and up to which it has lost
CHANGE = "method.discriminator_optimizer.lr"
REMARKS = (
    f"has won, and its gradient says little: lower {CHANGE}, or weigh the adversarial loss more (method.adversarial)",
    f"has lost, it is hardly better than chance, and its gradient is noise: raise {CHANGE}, or weigh the adversarial "
    "loss less (method.adversarial)",
)


class Scoreboard(nn.Module):
    """Remembers, in the checkpoint, how every discriminator has fared, and remarks once where it has won or lost.

    Args:
        players: names of the discriminators.
    """

    rows: Int64[Tensor, "p 2"]  # of the log in succession, won and lost
    remarked: Tensor

    def __init__(self, players: Iterable[str]) -> None:
        super().__init__()
        self.players = tuple(players)
        self.register_buffer("rows", torch.zeros(len(self.players), 2, dtype=torch.int64))
        self.register_buffer("remarked", torch.zeros(len(self.players), 2, dtype=torch.bool))

    def take(self, player: str, source_accuracy: float, target_accuracy: float) -> None:
        """Remember a row of the log, and remark if it is the one that makes a winner or loser.

        Args:
            source_accuracy, target_accuracy: shares of the patches of either domain told rightly, 0 to 1.
        """
        row, mean = self.players.index(player), (source_accuracy + target_accuracy) / 2
        for way, so in enumerate((mean >= WON, mean <= LOST)):
            self.rows[row, way] = self.rows[row, way] + 1 if so else 0
            if self.rows[row, way] >= LONG and not self.remarked[row, way]:
                self.remarked[row, way] = True
                told = f"for {LONG} rows of the log it has told {100 * mean:.1f} % of the patches rightly"
                warnings.warn(f"discriminator {player}: {told}. It {REMARKS[way]}.", Remark, stacklevel=2)
