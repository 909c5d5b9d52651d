"""A small GIF from the video of a drive: ``python docs/make_animation.py runs/TIME/TOWN.mp4``.

Needs Pillow (a dependency of matplotlib). The result is docs/images/drive.gif.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
from PIL import Image


def shared_palette(pictures: list[Image.Image]) -> Image.Image:
    """256 colours for all pictures, so that nothing flickers from one to the next."""
    width, height = pictures[0].size
    montage = Image.new("RGB", (width, height * len(pictures)))
    for row, picture in enumerate(pictures):
        montage.paste(picture, (0, row * height))
    return montage.quantize(256, Image.Quantize.MEDIANCUT)


def main() -> None:
    """Cut, shrink and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--start", type=float, default=0.0, help="seconds of video time")
    parser.add_argument("--seconds", type=float, default=14.0)
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "drive.gif")
    arguments = parser.parse_args()
    video = cv2.VideoCapture(str(arguments.video))
    fps = video.get(cv2.CAP_PROP_FPS)
    video.set(cv2.CAP_PROP_POS_FRAMES, int(arguments.start * fps))
    pictures = []
    for number in range(int(arguments.seconds * fps)):
        more, frame = video.read()
        if not more:
            break
        if number % arguments.every:
            continue
        height = arguments.width * frame.shape[0] // frame.shape[1]
        small = cv2.resize(frame, (arguments.width, height), interpolation=cv2.INTER_AREA)
        pictures.append(Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)))
    if not pictures:
        parser.error(f"no frame in {arguments.video} from second {arguments.start}")
    palette = shared_palette(pictures[:: max(1, len(pictures) // 8)])
    pictures = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        arguments.out, save_all=True, append_images=pictures[1:], duration=int(1000 / fps), loop=0
    )
    print(f"{arguments.out}: {len(pictures)} pictures, {arguments.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
