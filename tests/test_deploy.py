"""The units, scripts and container files of deploy/, and the recipes of docs/guides/run-it-for-real.md, as far as tests can run them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.base import BaseJobConfiguration
from pydantic import ConfigDict

from minutehand import Client
from settings import variables
from tasks.lake import LakeConfig, locate, migrate, writing
from tasks.privacy.keyed import NAME as PRIVACY_KEYS
from tests.cli.test_ingest import minutehand
from tests.conftest import ROOT, find_free_port
from tests.tasks.publish.test_night import add_events, add_item, put, ranked

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
GUIDE = (ROOT / "docs" / "guides" / "run-it-for-real.md").read_text(encoding="utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
INSTALLED = "/opt/minutehand"
"""Where the guide puts the code; the tests put this checkout in its place."""


@pytest.fixture
def shop(home: Path) -> Path:
    """A home with two items, a user and a night's publication of now."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    add_item(lake, "a", "Alpha")
    add_item(lake, "b", "Beta")
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0]}))
    return home


def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "systemd"], check=True, capture_output=True)
    binaries = tmp_path / "checkout" / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "minutehand").symlink_to(sys.executable)
    (tmp_path / "checkout" / "deploy").symlink_to(DEPLOY)
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text(encoding="utf-8").replace(INSTALLED, str(tmp_path / "checkout")))
    units = [str(tmp_path / unit.name.replace("@", "@shop")) for unit in UNITS]
    for template, name in zip(UNITS, units, strict=True):
        Path(name).symlink_to(template.name)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "minutehand" in line] == []
    assert done.returncode == 0, done.stderr


def test_units_start_commands_that_exist_and_read_a_home_and_settings_of_the_same_name() -> None:
    for unit in UNITS:
        for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
            program, *words = shlex.split(line)
            if program == f"{INSTALLED}/.venv/bin/minutehand":
                assert minutehand(*words, "--help", home=Path("nowhere")).returncode == 0, line
            elif program.startswith(INSTALLED):
                script = ROOT / Path(program).relative_to(INSTALLED)
                assert os.access(script, os.X_OK), line
            else:
                assert program == "/usr/bin/curl", line
    up = (DEPLOY / "systemd" / "minutehand@.service").read_text(encoding="utf-8")
    for line in ("StateDirectory=minutehand/%i", "EnvironmentFile=-/etc/minutehand/%i.env", "User=minutehand", "ProtectSystem=strict"):
        assert line in up.splitlines()
    assert "MINUTEHAND_HOME=/var/lib/minutehand/%i" in up


def test_the_settings_of_the_example_and_of_the_container_exist() -> None:
    known = {name for name, _, _ in variables()}
    texts = [(DEPLOY / "env.example").read_text(encoding="utf-8"), CONTAINERFILE]
    assert {name for text in texts for name in re.findall(r"\b(MINUTEHAND_\w+)=", text)} <= known


def test_a_backup_is_a_home_by_itself_and_the_service_runs_again_after_it(shop: Path, tmp_path: Path) -> None:
    calls = with_systemctl(tmp_path)
    (tmp_path / "homes").mkdir()
    home = shop.rename(tmp_path / "homes" / "shop")
    (home / "prefect").mkdir()
    (home / "secret").write_text("minutehand:x\n")
    for _ in range(8):
        done = run_script("backup", "shop", str(tmp_path / "homes"), str(tmp_path / "copies"), folder=tmp_path)
        assert done.returncode == 0, done.stderr
        Path(done.stdout.strip()).rename(tmp_path / "copies" / "shop" / f"2026-01-0{len(calls.read_text().splitlines()) // 2}T000000Z")
    assert calls.read_text().splitlines() == ["stop minutehand@shop", "start minutehand@shop"] * 8
    copies = sorted((tmp_path / "copies" / "shop").iterdir())
    assert len(copies) == 7, "the newest"
    assert not (copies[-1] / "prefect").exists()
    assert (copies[-1] / "secret").read_text() == "minutehand:x\n"
    assert copies[-1].stat().st_mode & 0o077 == 0
    shutil.rmtree(home)
    restored = shutil.copytree(copies[-1], tmp_path / "restored")
    assert json.loads(minutehand("recommend", "u", "-k", "1", "--json", home=restored).stdout)[0]["item_id"] == "b"


def test_a_backup_of_a_folder_that_is_no_home_stops_no_service(tmp_path: Path) -> None:
    calls = with_systemctl(tmp_path)
    done = run_script("backup", "shop", str(tmp_path), str(tmp_path / "copies"), folder=tmp_path)
    assert (done.returncode, calls.exists()) == (1, False)
    assert "is no home with a lake" in done.stderr


@pytest.mark.slow
def test_lists_of_a_night_long_ago_and_events_that_wait_make_the_check_of_freshness_fail(shop: Path, tmp_path: Path) -> None:
    assert check_freshness(shop, tmp_path) == (0, "")
    with writing(locate(LakeConfig(), shop)) as con:
        con.execute("update recs.publications set published_at = published_at - interval 1 hour")
        con.execute("update raw.events set received_at = received_at - interval 20 minutes")
    assert check_freshness(shop, tmp_path) == (1, "error: Invalid Input Error: events have waited for 15 minutes\n")
    with writing(locate(LakeConfig(), shop)) as con:
        con.execute("update recs.publications set published_at = published_at - interval 27 hours")
    assert check_freshness(shop, tmp_path) == (1, "error: Invalid Input Error: no night has published for 27 hours\n")


@pytest.mark.slow
def test_rules_of_ones_own_end_with_1_where_they_find_something(shop: Path) -> None:
    (rejected, baseline) = re.findall(r'^minutehand sql "(select case.*)"$', GUIDE, re.MULTILINE)
    for rule in (rejected, baseline):
        assert minutehand("sql", rule, home=shop).returncode == 0
    found = minutehand("sql", rejected.replace("> 1000", "= 0"), home=shop)
    assert (found.returncode, found.stderr) == (1, "error: Invalid Input Error: over 1,000 rejected rows\n")


def test_the_image_copies_what_exists_and_everything_that_a_command_needs(tmp_path: Path) -> None:
    image = copied_as_the_image_has_it(tmp_path / "image")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sources = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert {f"!{source}" for source in sources} == {line for line in ignored if line.startswith("!")}
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert {name.removesuffix("*") for name in packaged["packages"]["find"]["include"]} | {"sql"} <= sources

    (tmp_path / "events.csv").write_text("user_id,item_id,occurred_at\nanna,tent,2026-01-01\n")
    environment = {**os.environ, "PYTHONPATH": str(image), "PYTHONDONTWRITEBYTECODE": "1", "MINUTEHAND_HOME": str(tmp_path / "volume")}
    script = "import cli, sys; assert cli.__file__.startswith(sys.argv.pop()); cli.main()"
    for words in (["ingest", "events", str(tmp_path / "events.csv")], instructions("HEALTHCHECK")[0]):
        command = words if isinstance(words, list) else json.loads(words.partition("CMD ")[2])[1:]
        done = subprocess.run(
            [sys.executable, "-c", script, *command, str(image)], cwd=image, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_container_runs_up_as_a_user_that_is_not_root_with_a_python_that_fits() -> None:
    (base,) = re.findall(r"^FROM \S+/python:(\d+\.\d+)-", CONTAINERFILE, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.13"
    assert base in ("3.11", "3.12")
    assert instructions("USER") == ["minutehand"]
    assert "useradd --system --uid 10001" in instructions("RUN")[0]
    assert CONTAINERFILE.index("USER minutehand") < CONTAINERFILE.index("VOLUME")
    name, *words = json.loads(instructions("CMD")[0])
    assert (name, words) == ("minutehand", ["up"])
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["minutehand"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Containerfile"
    assert service["volumes"] == [f"home:{instructions('VOLUME')[0]}"]
    assert [port.rpartition(":")[2] for port in service["ports"]] == instructions("EXPOSE")[0].split()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    flags = {word.partition("=")[0] for word in re.findall(r"--[\w-]+", GUIDE[GUIDE.index("podman run") : GUIDE.index("podman exec")])}
    assert flags >= {"--init", "--read-only", "--tmpfs", "--cap-drop", "--security-opt"}


def test_the_large_installation_names_settings_and_packages_that_exist_and_opens_ports_on_this_machine_only() -> None:
    whole = yaml.safe_load((DEPLOY / "compose.large.yaml").read_text(encoding="utf-8"))
    services, shared = whole["services"], whole["x-minutehand"]
    assert set(services) == {"postgres", "store", "prefect", "mlflow", "worker", "api"}
    settings = {name for name in shared["environment"] if name.startswith("MINUTEHAND_")}
    assert settings <= {name for name, _, _ in variables()}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"\w+", shared["build"]["args"]["EXTRAS"])) <= set(extras)
    assert "ARG EXTRAS" in CONTAINERFILE
    assert '".$EXTRAS"' in CONTAINERFILE
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)
    secrets = [value for name, value in shared["environment"].items() if re.search("SECRET|PASSWORD|AUTH", name)]
    assert len(secrets) == 3
    assert all("${" in value for value in secrets)
    assert "worker:/first:ro" in services["api"]["volumes"]
    assert f"cp /first/home/{PRIVACY_KEYS} " in services["api"]["command"][-1]
    assert all("urlopen" in services[name]["healthcheck"]["test"][-1] for name in ("prefect", "mlflow"))  # they have no lake


@pytest.mark.parametrize("kind", ["docker", "kubernetes", "ecs"])
def test_a_template_of_a_work_pool_fills_in_names_settings_that_exist_and_keeps_the_home(kind: str) -> None:
    text = (DEPLOY / "pools" / f"{kind}.json").read_text(encoding="utf-8")
    template = json.loads(text)
    WorkPoolCreate(name="minutehand", type=kind, base_job_template=template)  # refuses placeholders without a variable
    own = {name for name in template["variables"]["properties"] if f"{{{{ {name} }}}}" in text}
    assert set(template["variables"]["properties"]) - own <= {"env"}, "every variable changes the job"
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["definitions"]["pool"]["job_variables"]
    needed = {name: "x" for name, each in template["variables"]["properties"].items() if "default" not in each}
    job: _Job = asyncio.run(_Job.from_template_and_values(template, {**needed, **deployed}, client=PrefectClient("http://127.0.0.1:9/api")))
    assert job.env["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert instructions("VOLUME")[0] in text
    settings = dict(_settings(json.loads(job.model_dump_json())))
    if kind == "kubernetes":
        (container,) = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "minutehand"}}, {"secretRef": {"name": "minutehand"}}]
    else:
        assert set(settings) >= {"MINUTEHAND_HOME", "MINUTEHAND_LAKE__CATALOG", "MINUTEHAND_REGISTRY__TRACKING_URI"}
    assert {name for name in settings if name.startswith("MINUTEHAND_")} <= {name for name, _, _ in variables()}
    assert [name for name in settings if re.search("PASSWORD|SECRET|AUTH|KEY_ID", name)] == [], "secrets do not stand in a template"


def _settings(part: Any) -> Iterator[tuple[str, str]]:
    """The environment variables with their values anywhere in a job: in mappings called env, and in pairs of name and value."""
    if isinstance(part, list):
        for each in part:
            yield from _settings(each)
    elif isinstance(part, dict):
        if set(part) == {"name", "value"}:
            yield part["name"], part["value"]
        for key, each in part.items():
            yield from each.items() if key == "env" and isinstance(each, dict) else _settings(each)


class _Job(BaseJobConfiguration):
    """A job of any kind of pool."""

    model_config = ConfigDict(extra="allow")


@pytest.mark.slow
def test_up_runs_from_code_that_it_cannot_write_without_capabilities_and_stops_on_sigterm(tmp_path: Path) -> None:
    """As the unit and the container run it. Root without capabilities is bound by file modes as anybody is."""
    image = copied_as_the_image_has_it(tmp_path / "image")
    for path in [image, *image.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    bound = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    ports = find_free_port(), find_free_port(), find_free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(image),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MINUTEHAND_HOME": str(tmp_path / "volume"),
        "MINUTEHAND_SERVER__HOST": "0.0.0.0",
        "MINUTEHAND_SERVER__API_HOST": "0.0.0.0",
        "MINUTEHAND_SERVER__PREFECT_PORT": str(ports[0]),
        "MINUTEHAND_SERVER__MLFLOW_PORT": str(ports[1]),
        "MINUTEHAND_SERVER__API_PORT": str(ports[2]),
    }
    command = [*bound, sys.executable, "-c", "from cli import main; main()", "up"]
    with (tmp_path / "up.out").open("w") as out:
        up = subprocess.Popen(command, cwd=image, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        text = ""
        for _ in range(600):
            text = (tmp_path / "up.out").read_text()
            if "Log in to Prefect" in text or up.poll() is not None:
                break
            with pytest.raises(subprocess.TimeoutExpired):
                up.wait(0.5)
        assert "Log in to Prefect" in text, text
        assert "minutehand keys add read" in text, "on all addresses, the API waits for a key"
        pages = tmp_path / "volume" / "prefect" / "pages"
        assert {path.name for path in pages.iterdir() if path.is_dir()} == {"v1", "v2"}, "its package may belong to root"
    finally:
        up.terminate()
        code = up.wait(120)
    assert code == 0, (tmp_path / "up.out").read_text()


@pytest.mark.slow
def test_the_recipes_for_duckdb_dbt_and_bi_tools_read_the_lists(shop: Path, tmp_path: Path) -> None:
    (mail,) = blocks("sql")
    run_sql(mail, shop, tmp_path)
    assert duckdb.sql(f"from '{tmp_path / 'mail.parquet'}'").fetchall() == [("u", ["Beta", "Alpha"])]

    (profile,) = blocks("yaml")
    output = yaml.safe_load(profile)["shop"]["outputs"]["prod"]
    (lake,) = output["attach"]
    settings = [f"set global {name} = {str(value).lower()}" for name, value in output["settings"].items()]
    read_only = " (read_only)" if lake["read_only"] else ""
    assert output["extensions"] == ["ducklake", "sqlite"]
    attach = f"attach '{lake['path']}' as {lake['alias']}{read_only}"
    model = "create table top as select * from lake.recs.recommendations where user_id <> '*'"
    run_sql("; ".join([*settings, attach, model, f"copy top to '{tmp_path}/top.csv'"]), shop, tmp_path)
    assert len((tmp_path / "top.csv").read_text().splitlines()) == 3

    (write,) = blocks("python")
    run_python(write, shop, tmp_path)
    with duckdb.connect(tmp_path / "shop.duckdb", read_only=True) as con:
        assert con.execute("select item_id from recommendations where user_id = 'u' order by rank").fetchall() == [("b",), ("a",)]


def test_the_function_of_the_guide_runs_commands_on_the_home_with_its_settings(shop: Path, tmp_path: Path) -> None:
    checkout = checkout_with_minutehand(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "runuser").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    (tmp_path / "bin" / "runuser").chmod(0o755)
    (function,) = re.findall(r"^(shop\(\) \(\n.*?^\))$", GUIDE, re.MULTILINE | re.DOTALL)
    for there, here in ((INSTALLED, checkout), ("/var/lib/minutehand/shop", shop), ("/etc/minutehand/shop.env", tmp_path / "shop.env")):
        function = function.replace(there, str(here))
    environment = {name: value for name, value in os.environ.items() if name != "MINUTEHAND_HOME"}
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    command = ["sh", "-c", f"{function}\nshop recommend u -k 1 --json"]
    (tmp_path / "shop.env").write_text("# ports\nMINUTEHAND_INGEST__EVENT_WEIGHTS='{\"view\": 1.0}'\n")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)[0]["item_id"] == "b", done.stderr
    (tmp_path / "shop.env").write_text("MINUTEHAND_THREADS=many\n")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "MINUTEHAND_THREADS has an impossible value" in done.stderr


def test_the_shop_guide_names_calls_and_attributes_that_exist_and_its_mail_has_the_lists(shop: Path, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "put-it-in-your-shop.md").read_text(encoding="utf-8")
    table = guide[guide.index("| call | request |") : guide.index("Connections stay open")]
    calls = {name for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert calls == {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    tracker = (ROOT / "serving" / "static" / "tracker.js").read_text(encoding="utf-8")
    assert {name for name in re.findall(r"\bdata-[a-z-]+", guide) if name not in tracker} == set()
    assert {name for name in re.findall(r"minutehand\.(\w+)[(`]", guide) if f"tracker.{name} =" not in tracker} <= {"session"}
    (mail,) = re.findall(r'^minutehand sql --out mail.parquet "\n(.*?)"$', guide, re.MULTILINE | re.DOTALL)
    assert minutehand("sql", "--out", str(tmp_path / "mail.parquet"), mail, home=shop).returncode == 0
    assert duckdb.sql(f"from '{tmp_path / 'mail.parquet'}'").fetchall() == [("u", ["b", "a"], ["Beta", "Alpha"])]


def blocks(language: str) -> list[str]:
    """The code blocks of the guide in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def instructions(name: str) -> list[str]:
    """What follows an instruction of the Containerfile, each time it stands there."""
    return [line.strip() for line in re.findall(rf"^{name} (.*)$", CONTAINERFILE, re.MULTILINE)]


def copied_as_the_image_has_it(folder: Path) -> Path:
    """The folder, with what the Containerfile copies into its working directory."""
    for line in instructions("COPY"):
        *sources, target = line.split()
        for source in sources:
            into = folder / (source if target == "./" else target)
            into.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, into)
    return folder


def with_systemctl(folder: Path) -> Path:
    """Put a systemctl that notes its arguments into the folder bin; gives the file of its notes."""
    (folder / "bin").mkdir()
    calls = folder / "calls"
    (folder / "bin" / "systemctl").write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    (folder / "bin" / "systemctl").chmod(0o755)
    return calls


def run_script(name: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run([DEPLOY / name, *words], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)


def checkout_with_minutehand(folder: Path) -> Path:
    """A checkout with the scripts of deploy/, and in its .venv the minutehand of this test."""
    checkout = folder / "checkout"
    if not checkout.exists():
        (checkout / ".venv" / "bin").mkdir(parents=True)
        (checkout / "deploy").symlink_to(DEPLOY)
        program = checkout / ".venv" / "bin" / "minutehand"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "from cli import main; main()" "$@"\n')
        program.chmod(0o755)
    return checkout


def check_freshness(home: Path, folder: Path) -> tuple[int, str]:
    """Exit code and errors of deploy/check-freshness."""
    checkout = checkout_with_minutehand(folder)
    done = subprocess.run(
        [checkout / "deploy" / "check-freshness"],
        env={**os.environ, "MINUTEHAND_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def run_sql(text: str, home: Path, folder: Path) -> None:
    """Run SQL of the guide in a DuckDB of its own, with the extensions of the wheels in place of those that `install` fetches."""
    run_python(f"import duckdb\ncon = duckdb.connect()\ncon.execute({text!r})", home, folder)


def run_python(text: str, home: Path, folder: Path) -> None:
    """Run Python of the guide in the folder, next to this home."""
    catalog = f"{home}/lake/catalog.sqlite"
    text = text.replace(".minutehand/lake/catalog.sqlite", catalog).replace("/var/lib/minutehand/shop/lake/catalog.sqlite", catalog)
    text = re.sub(r"install ducklake; install sqlite; load sqlite;?", "", text)
    loading = textwrap.dedent("""
        import duckdb
        from tasks.lake import load_extension
        connect = duckdb.connect
        def connect_with_extensions(*words):
            con = connect(*words)
            for name in ("sqlite_scanner", "ducklake"):
                load_extension(con, name)
            return con
        duckdb.connect = connect_with_extensions
    """)
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", f"{loading}\n{text}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
