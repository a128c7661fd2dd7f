"""The video renderer: endless annotated pseudo-videos from photographs, on the device."""

from tracking_tasks.data.renderer.config import RendererConfig as RendererConfig
from tracking_tasks.data.renderer.sheet import contact_sheet as contact_sheet
from tracking_tasks.data.renderer.video import Video as Video
from tracking_tasks.data.renderer.video import render as render
