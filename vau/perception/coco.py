"""Names of the 80 COCO object classes by the ids 1 to 90 of the annotation files, and of the 17 body keypoints.

Ten ids were never used; they have no name here. Source: Lin et al., Microsoft COCO, 2014.
"""

from __future__ import annotations

from typing import Final

_NAMES: Final = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
CLASS_NAMES: Final[dict[int, str]] = {i: name for i, name in enumerate(_NAMES.split(","), start=1) if name}
