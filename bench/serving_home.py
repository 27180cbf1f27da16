"""A home with a published model and a catalogue of any size, made in a minute or two: python -m bench.serving_home HOME ITEMS USERS."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.publish import N_NEAR, random_lists
from models.evaluation.words_choice import USUAL, USUAL_LEXICAL, with_weights
from models.results import Neighbours, SeenItems
from models.text.encoder import find_encoder
from models.text.lexical import Lexicon
from models.text.towers import Head, Words
from settings import load
from tasks import process
from tasks.lake import Lake, locate, migrate, newest_snapshot, statement, writing
from tasks.night import dataset, learning
from tasks.publish import night, publication
from tasks.registry import night_run, versions

N_CELLS = 200_000_000
"""The model is trained on so many events that one score per event and item makes this number."""
MOST_EVENTS = 20_000
EVENTS_PER_USER = 20
TEXT_DIM = 384


def make_home(home: Path, n_items: int, n_users: int) -> None:
    """Create a home as after a night: titles, text vectors, histories, a model, and lists for all users; sets MINUTEHAND_HOME to it.

    Text vectors and lists are random, and the model is trained on few events: their sizes are those of a shop, their quality is not.
    """
    os.environ["MINUTEHAND_HOME"] = str(home)
    settings = load()
    process.use_threads(1)
    lake = locate(settings.lake, settings.home, settings.store)
    migrate(lake)
    key = find_encoder(settings.encoder).key
    with writing(lake) as con:
        con.execute("set threads = 1")
        con.execute(statement("bench/insert_items"), {"n_items": n_items})
        con.execute(statement("bench/insert_history"), {"n_events": n_users * EVENTS_PER_USER, "n_users": n_users, "n_items": n_items})
    insert_vectors(lake, key)
    data = dataset.load_dataset(lake, newest_snapshot(lake), settings.ingest.event_weights, key)
    newest = data.events.by_time[-min(N_CELLS // n_items, MOST_EVENTS) :]
    few = replace(data, events=data.events.where(np.isin(np.arange(len(data.events)), newest)))
    train = settings.train.model_copy(update={"max_epochs": 1})
    learnt = learning.learn(few, settings.model, train, settings.evaluation, settings.seed)
    models = versions.open_registry(
        settings.tracking_uri, settings.registry.model_name, home / "mlflow" / "artifacts", settings.registry.artifacts
    )
    with night_run.start_night(models, "bench", {}, data.snapshot, None, data.describe()) as run:
        folder = home / "checkpoint"
        learning.complete(few, learnt, settings.model, train, settings.increment, settings.seed, folder, untrained_words(data))
        number = night_run.register(run, folder, [], learning.example(few))
    versions.promote(models, number)
    publish(lake, settings.ingest.event_weights, data, versions.find_version(models, number), settings.model.max_events)


def insert_vectors(lake: Lake, key: str) -> None:
    """Random text vectors in place of encoded titles."""
    generator = np.random.default_rng(0)
    with writing(lake) as con:
        con.execute(statement("encoding/define_item_text"))
        texts = con.execute(statement("encoding/select_changed_texts"), {"encoder": key}).pl()
        vectors = generator.normal(size=(len(texts), TEXT_DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        con.register("fresh", texts.select("item_id", "text_hash").with_columns(vector=vectors).to_arrow())
        con.execute(statement("encoding/insert_embeddings"), {"encoder": key, "encoded_at": datetime.now(UTC).replace(tzinfo=None)})


def untrained_words(data: dataset.Dataset) -> Words:
    """Towers that leave the vectors of the encoder as they are."""
    lexicon = Lexicon.of([(title, ()) for title in data.titles])
    return with_weights(Words.of(Head(TEXT_DIM).eval(), Head(TEXT_DIM).eval(), data.text, 1.0, lexicon), USUAL, USUAL_LEXICAL)


def publish(lake: Lake, weights: dict[str, float], data: dataset.Dataset, version: versions.Version, max_events: int) -> None:
    """Publish random lists for all users."""
    generator, n_items = np.random.default_rng(0), len(data.catalog)
    near = Neighbours(generator.integers(0, n_items, (n_items, N_NEAR)), generator.random((n_items, N_NEAR), dtype=np.float32))
    made = publication.Provenance(version.version, version.run_id, "bench", data.snapshot, datetime.now(UTC).replace(tzinfo=None))
    content = publication.Content(
        data.catalog.item_ids,
        random_lists(generator, data.user_ids, n_items),
        random_lists(generator, ["*"], n_items),
        near,
        max_events,
        made,
        seen_items=SeenItems(True),
        checkpoint=publication.Files(version.checkpoint_folder, version.digest),
    )
    night.publish_night(lake, content, weights)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    make_home(home, int(sys.argv[2]), int(sys.argv[3]))
    (home / "made").touch()
