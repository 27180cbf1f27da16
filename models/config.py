"""What can be set about the models; light to import, so that commands without a model start at once."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator


class EncoderConfig(BaseModel):
    """Which language model turns text into vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field("all-MiniLM-L6-v2", description="Bundled encoder, Hugging Face name or local folder")
    max_tokens: PositiveInt = Field(64, description="Longer texts are cut here")
    batch_size: PositiveInt = Field(64, description="Texts encoded together")


class RecommenderConfig(BaseModel):
    """The shape of the sequence model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dim: PositiveInt = Field(128, description="Width of items, users and the transformer")
    n_blocks: PositiveInt = Field(2, description="Transformer blocks")
    n_heads: PositiveInt = Field(2, description="Attention heads")
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout of inputs, attention output and feed-forward")
    max_events: int = Field(100, ge=2, description="Events of a user's history that the model sees")
    delta_bound: NonNegativeFloat = Field(2.0, description="Longest learnt delta of an item, in lengths of a text vector")

    @model_validator(mode="after")
    def heads_divide_dim(self) -> RecommenderConfig:
        """Every head gets an equal part of the width."""
        if self.dim % self.n_heads:
            raise ValueError(f"dim {self.dim} is not a multiple of n_heads {self.n_heads}; set either so that it is")
        return self


class TrainConfig(BaseModel):
    """How the sequence model is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_epochs: PositiveInt = Field(30, description="Passes over the training events at most")
    patience: PositiveInt = Field(3, description="Epochs without a gain in validation NDCG@10 before training stops")
    minutes: PositiveFloat = Field(6.0, description="Wall-clock budget of training on the past; the refit costs about as much again")
    learning_rate: PositiveFloat = Field(1e-3, description="Peak learning rate of AdamW")
    weight_decay: NonNegativeFloat = Field(0.01, description="Decoupled weight decay")
    batch_events: PositiveInt = Field(4096, description="Events a training step sees")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to train and encode; auto takes CUDA when there")


class EvaluationConfig(BaseModel):
    """How the held-out events are chosen and scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    train_share: float = Field(0.8, gt=0, lt=1, description="Quantile of time up to which events are training")
    validation_share: float = Field(0.1, gt=0, lt=1, description="Share of events after it that choose epochs and blend; the rest tests")
    max_events: PositiveInt = Field(100_000, description="Held-out events scored at most, drawn evenly")
    n_bootstrap: PositiveInt = Field(1000, description="Resamples of users behind each 95 % interval")
    seen_items: Literal["auto", "hide", "show"] = Field(
        "auto", description="Whether items a user already had stay out of his lists; auto shows them where users come back to items"
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
