"""What workers import at their start, so that the first tasks do not wait for it."""

from __future__ import annotations

import darkfactory.pipeline.generate
import darkfactory.pipeline.limits
import darkfactory.pipeline.model
import darkfactory.pipeline.preselect
import darkfactory.pipeline.simulate
import darkfactory.pipeline.skim
import darkfactory.pipeline.trigger

__all__: list[str] = []
