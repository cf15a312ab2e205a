"""What has to run beside a model wherever it serves: filters around it, and a log of what it was asked and answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from sluice.api.base import LIST_SET, Duration, Model, Sha256, rule, validations


class ControlType(StrEnum):
    """What a control does."""

    INPUT_FILTER = "InputFilter"
    OUTPUT_REVIEW = "OutputReview"
    LOGGING = "Logging"


class Control(Model):
    """A container that every Pod of a release runs as long as the model serves."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("self.type == 'Logging' || !has(self.retention)", "retention goes with type Logging", field=".retention"))
    )

    type: ControlType
    """What it does."""
    images: Annotated[list[Sha256], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)]
    """Images that do it, by digest; one container runs one of them."""
    retention: Duration | None = None
    """Logging: how long logs are kept at least, as the annotation `sluice.dev/log-retention` of the Pod says. Absent: it need not say."""
