"""What can be set about the models; light to import, so that commands without a model start at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LIMIT = 1_000_000_000
CENTURY_HOURS = 876_600
PositiveInt = Annotated[int, Field(gt=0, lt=LIMIT)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=LIMIT)]
PositiveFloat = Annotated[float, Field(gt=0, lt=LIMIT)]
NonNegativeFloat = Annotated[float, Field(ge=0, lt=LIMIT)]
"""Like those of Pydantic, but finite: what is computed from a larger number fits in no integer, no time and no memory."""


REPEATS_ARE_COMMON = 0.05
"""Share of the training events that repeat an earlier pair of user and item, from which on users count as coming back to items."""


class EncoderConfig(BaseModel):
    """Which language model turns text into vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field("all-MiniLM-L6-v2", description="Bundled encoder, Hugging Face name or local folder")
    max_tokens: PositiveInt = Field(64, description="Longer texts are cut here")
    batch_size: PositiveInt = Field(64, description="Texts encoded together")


class RecommenderConfig(BaseModel):
    """The shape of the sequence model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dim: PositiveInt = Field(128, le=8192, description="Width of items, users and the transformer")
    n_blocks: PositiveInt = Field(2, le=256, description="Transformer blocks")
    n_heads: PositiveInt = Field(2, le=1024, description="Attention heads")
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout of inputs, attention output and feed-forward")
    max_events: int = Field(100, ge=2, le=100_000, description="Events of a user's history that the model sees")
    delta_bound: NonNegativeFloat = Field(2.0, description="Longest learnt delta of an item, in lengths of a text vector")

    @model_validator(mode="after")
    def heads_divide_dim(self) -> RecommenderConfig:
        """Every head gets an equal part of the width, and that one plane for order and one for time at least."""
        if self.dim % (4 * self.n_heads):
            raise ValueError(f"dim {self.dim} is not a multiple of 4 x n_heads {self.n_heads}; set either so that it is")
        return self


class TrainConfig(BaseModel):
    """How the sequence model is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_epochs: PositiveInt = Field(16, description="Passes over the training events at most")
    patience: PositiveInt = Field(3, description="Epochs without a gain in validation NDCG@10 before training stops")
    minutes: PositiveFloat = Field(
        6.0, allow_inf_nan=False, description="Wall-clock budget of training on the past; the refit costs about as much again"
    )
    learning_rate: PositiveFloat = Field(2e-3, description="Peak learning rate of AdamW")
    weight_decay: NonNegativeFloat = Field(0.01, description="Decoupled weight decay")
    batch_events: PositiveInt = Field(2048, description="Events a training step sees; more of many data on a CUDA card")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to train and encode; auto takes CUDA when there")


class IncrementConfig(BaseModel):
    """How the live model learns what just happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    delta_rate: NonNegativeFloat = Field(
        0.3, description="How far a step usually moves the delta of a new item that it touches; 0 leaves all alone"
    )
    delta_settles: PositiveFloat = Field(
        0.2, description="Events after which an item moves less: by one over the root of 1 + events / this"
    )
    dense_rate: NonNegativeFloat = Field(
        1e-4, description="Learning rate of all other weights in a step of batch_events, in proportion for fewer; 0 leaves them alone"
    )
    passes: PositiveInt = Field(2, description="Times each new event is stepped on, each time beside other replayed events")
    max_steps: PositiveInt = Field(50, description="Steps of one pass at most; what is beyond only moves popularity")
    batch_events: PositiveInt = Field(4096, description="Events a step sees, replay aside")
    window_events: int = Field(50, ge=2, le=100_000, description="Events of a user that a step sees")
    sampled_items: PositiveInt = Field(
        1000, description="Items drawn for a step, beside those of its events, in a catalogue of over twice as many"
    )
    replay_per_new: NonNegativeFloat = Field(4.0, description="Replayed events beside each new one")
    memory_windows: PositiveInt = Field(2000, description="Windows of past events kept for replay")
    memory_half_life_share: PositiveFloat = Field(
        0.1, description="Age at which a past event is half as likely to be kept, as a share of the whole time"
    )
    anchor_pull: float = Field(0.01, ge=0, lt=1, description="Share of the way back to last night's weights after each step")
    prior_slots: PositiveInt = Field(128, le=100_000, description="Moments whose popularity is kept for replay")
    prior_spacing_hours: PositiveFloat = Field(3.0, le=CENTURY_HOURS, description="Time between those moments")
    blend_rows: NonNegativeInt = Field(
        2000, description="Newest events that the blend is fitted to again; 0 leaves it as the night chose it"
    )
    blend_candidates: PositiveInt = Field(20, description="Items from each source among which the blend is fitted")
    blend_pull: NonNegativeFloat = Field(0.1, description="How strongly the blend is held near last night's")
    blend_iterations: PositiveInt = Field(10, description="Iterations of that fit")
    warm_after: PositiveFloat = Field(1.0, description="Events after which an item counts as known to the sequence model")
    gate_tolerance: NonNegativeFloat = Field(0.2, description="Share of the held-out NDCG that an update may cost")
    max_drift: PositiveFloat = Field(0.5, description="Distance from last night's weights, as a share of their length, at most")


class EvaluationConfig(BaseModel):
    """How the held-out events are chosen and scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    train_share: float = Field(0.8, gt=0, lt=1, description="Quantile of time up to which events are training")
    validation_share: float = Field(0.1, gt=0, lt=1, description="Share of events after it that choose epochs and blend; the rest tests")
    max_events: PositiveInt = Field(100_000, description="Held-out events scored at most, drawn evenly")
    n_bootstrap: PositiveInt = Field(1000, le=100_000, description="Resamples of users behind each 95 % interval")
    seen_items: Literal["auto", "hide", "show"] = Field(
        "auto",
        description="Items that a user already had: `hide` keeps them out of that user's list, `show` lets them in, `auto` shows them "
        f"if at least {REPEATS_ARE_COMMON:.0%} of the training events repeat a pair of user and item, and else hides them",
    )

    @model_validator(mode="after")
    def leave_events_to_test_on(self) -> EvaluationConfig:
        """Training and validation do not take everything."""
        if self.train_share + self.validation_share >= 1:
            raise ValueError(
                f"train_share {self.train_share:g} and validation_share {self.validation_share:g} leave no event to test on; "
                "their sum has to be below 1"
            )
        return self
