"""Pictures beside their maps, as one picture to look at. Knows nothing about what made the maps."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps


CELL, GAP, LINE = (220, 165), 6, 20  # pixels


def draw_sheet(names: Sequence[str], columns: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """
    Draws a row a picture and a column a map, each cell in the proportions of its picture.

    Args:
        names (`Sequence[str]`):
            Of the pictures.
        columns (`Mapping[str, Sequence[PIL.Image.Image]]`):
            Pictures and their maps, by the title of the column.

    Example:
        >>> draw_sheet(["lake"], {"picture": [Image.new("RGB", (40, 30))], "gray": [Image.new("L", (40, 30))]}).size
        (458, 211)
    """
    width, height = CELL
    sheet = Image.new("RGB", (len(columns) * (width + GAP) + GAP, LINE + len(names) * (height + LINE + GAP)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, (title, images) in enumerate(columns.items()):
        x = GAP + column * (width + GAP)
        draw.text((x, 3), title, "black", font)
        for row, image in enumerate(images):
            y = LINE + row * (height + LINE + GAP)
            cell = ImageOps.pad(image.convert("RGB"), CELL, color="#d8d8e8")
            sheet.paste(cell, (x, y))
            if column == 0:
                draw.text((x, y + height + 2), names[row], "black", font)
    return sheet
