"""Run as a program: loads checkpoints as someone does who has transformers and torch, but not this package.

    python stranger.py CASES.json OUTPUT.pt

`CASES.json` lists `{"name", "folder", "auto"}`; each folder holds a checkpoint and `inputs.pt`, the arguments of
`forward`. The outputs of all cases are written to one file.
"""

import importlib.abc
import json
import sys


class RefusePackage(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] == "hf_aesthetics":
            raise ModuleNotFoundError("No module named 'hf_aesthetics'", name=fullname)
        return None


def main() -> None:
    sys.meta_path.insert(0, RefusePackage())
    import torch
    import transformers

    torch.set_num_threads(1)
    outputs = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    for case in cases:
        model = getattr(transformers, case["auto"]).from_pretrained(case["folder"], trust_remote_code=True).eval()
        inputs = torch.load(f"{case['folder']}/inputs.pt")
        with torch.no_grad():
            result = model(**inputs)
        tensors = {key: value for key, value in result.items() if isinstance(value, torch.Tensor)}
        if case.get("processor"):
            processor = transformers.AutoImageProcessor.from_pretrained(case["folder"], trust_remote_code=True)
            pixels = torch.arange(3 * 40 * 60, dtype=torch.int32).remainder(256).to(torch.uint8).view(3, 40, 60)
            tensors["pixel_values"] = processor([pixels], return_tensors="pt")["pixel_values"]
        outputs[case["name"]] = tensors
    assert not [name for name in sys.modules if name.split(".")[0] == "hf_aesthetics"]
    torch.save(outputs, sys.argv[2])


if __name__ == "__main__":
    main()
