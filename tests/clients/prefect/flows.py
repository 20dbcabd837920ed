"""What the worker's Job runs: a flow that leaves a mark."""

import os
from pathlib import Path

from prefect import flow


@flow
def inside(word: str):
    (Path(os.environ["LAUNCHED"]) / word).touch()
    return word
