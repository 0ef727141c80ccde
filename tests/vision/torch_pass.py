"""One pass of a model in PyTorch on one core, beside Farhand's own: `farhand bench vision` runs it.

    python torch_pass.py MODEL PICTURE SCORES

PICTURE and SCORES are f32, little endian: what goes in and what Farhand's own executor made of it. Prints one JSON object: the
fastest of PyTorch's ways, and how far its scores are from Farhand's as a share of the greatest. Then, for each line it is given, the
median of some passes that way, in ms.
"""

import copy
import json
import struct
import sys
import time

import numpy
import torch
from torch.nn import functional as F

PASSES = 20


def read(path):
    """The net's header and its tensors (safetensors: u64 length, JSON, values)."""
    data = open(path, "rb").read()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    card = json.loads(header.pop("__metadata__")["farhand.segmentation"])
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + at for at in entry["data_offsets"])
        values = numpy.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return card, tensors


class Net(torch.nn.Module):
    """The graph of edge/vision/src/graph.rs, its nodes numbered as there."""

    def __init__(self, card, tensors):
        super().__init__()
        self.widths, self.blocks = card["architecture"]["widths"], card["architecture"]["blocks"]
        self.layers = torch.nn.ParameterDict({name.replace(".", "_"): value for name, value in tensors.items()})

    def kernel(self, node):
        return self.layers[f"{node:02}_weight"], self.layers[f"{node:02}_bias"]

    def separable(self, x, node, stride):
        weight, bias = self.kernel(node)
        x = F.relu(F.conv2d(x, weight, bias, stride=stride, padding=1, groups=weight.shape[0]))
        weight, bias = self.kernel(node + 1)
        return F.relu(F.conv2d(x, weight, bias)), node + 2

    def forward(self, x):
        weight, bias = self.kernel(1)
        x, node, skips = F.relu(F.conv2d(x, weight, bias, stride=2, padding=1)), 2, []
        for scale, blocks in enumerate(self.blocks):
            for block in range(blocks):
                x, node = self.separable(x, node, 2 if scale > 0 and block == 0 else 1)
            skips.append(x)
        for skip in reversed(skips[:-1]):
            up = F.interpolate(x, scale_factor=2.0, mode="nearest")[:, :, : skip.shape[2], : skip.shape[3]]
            x, node = self.separable(torch.cat([up, skip], 1), node + 2, 1)
        weight, bias = self.kernel(node)
        return F.conv2d(x, weight, bias)


def median_ms(net, picture):
    for _ in range(3):
        net(picture)
    times = []
    for _ in range(PASSES):
        began = time.perf_counter()
        net(picture)
        times.append((time.perf_counter() - began) * 1e3)
    return sorted(times)[PASSES // 2]


def main():
    torch.set_num_threads(1)
    card, tensors = read(sys.argv[1])
    shape = (1, 3, card["height"], card["width"])
    picture = torch.from_numpy(numpy.fromfile(sys.argv[2], dtype="<f4").reshape(shape))
    ours = torch.from_numpy(numpy.fromfile(sys.argv[3], dtype="<f4"))
    net = Net(card, tensors).eval()
    with torch.inference_mode():
        scores = net(picture).flatten()
        apart = float((scores - ours).abs().max() / scores.abs().max())
        traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, picture)))
        last = torch.channels_last
        ways = {
            "as written": (net, picture),
            "traced": (traced, picture),
            "channels last": (copy.deepcopy(net).to(memory_format=last), picture.to(memory_format=last)),
        }
        way = min(ways, key=lambda name: median_ms(*ways[name]))
        print(json.dumps({"torch": torch.__version__, "way": way, "apart": apart}), flush=True)
        for _ in sys.stdin:
            print(median_ms(*ways[way]), flush=True)


main()
