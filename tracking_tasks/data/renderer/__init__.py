"""The video renderer: endless annotated pseudo-videos from photographs, on the device."""

from tracking_tasks.data.renderer.attributes import ATTRIBUTES as ATTRIBUTES
from tracking_tasks.data.renderer.config import RendererConfig as RendererConfig
from tracking_tasks.data.renderer.video import Video as Video
from tracking_tasks.data.renderer.video import render as render
