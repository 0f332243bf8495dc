"""Fine-tunes a scorer on a rated collection, evaluates it and writes a checkpoint with its model card.

    python scripts/train.py --dataset oasis --data_dir PATH --backbone mobilenet_v2 --output_dir outputs/nima-oasis
    accelerate launch scripts/train.py --dataset ORGANISATION/NAME --backbone resnet50 --bf16

The same program is part of the installed package: `accelerate launch -m hf_aesthetics.training`.
"""

from hf_aesthetics.training.__main__ import main


if __name__ == "__main__":
    main()
