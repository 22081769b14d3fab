import subprocess
import sys

CODE = """
import torch
from mdseg.models.hrnet import HRNet
from mdseg.models.small import small

torch.set_num_threads(1)
image = torch.rand(1, 3, 45, 64) * 255
for network in (small(num_classes=7), HRNet(width=4, blocks=1, modules=(1, 1, 1))):
    compiled = torch.compile(network.eval(), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(image), network(image))
two_levels = small(num_classes=7, low_head=True).eval()
compiled = torch.compile(two_levels.levels, fullgraph=True, backend="eager")
torch.testing.assert_close(compiled(image), two_levels.levels(image))
"""


def test_torch_compile_traces_our_networks_whole():
    # In a process of its own: the type checks of the test session are not traceable.
    subprocess.run([sys.executable, "-c", CODE], check=True)
