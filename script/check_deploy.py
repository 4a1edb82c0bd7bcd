"""Reads deploy/ as a careful person would: does the compose file hold together, and does every setting exist?"""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
faults: list[str] = []

compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
services, volumes = compose["services"], compose.get("volumes", {})
for name in ("postgres", "redis", "migrate", "api", "worker", "scheduler"):
    if name not in services:
        faults.append(f"compose.yaml: no service {name}")
for name, service in services.items():
    for other in service.get("depends_on", {}):
        if other not in services:
            faults.append(f"compose.yaml: {name} depends on {other}, which isn't there")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith((".", "/")) and source not in volumes:
            faults.append(f"compose.yaml: {name} uses the volume {source}, which isn't declared")
    if "image" not in service and "build" not in service:
        faults.append(f"compose.yaml: {name} has neither image nor build")

names = re.search(r"const NAMES: \[&str; \d+\] = \[(.*?)\];", (ROOT / "config/src/sources.rs").read_text(), re.DOTALL)
known = {f"SOMO_{name.upper()}" for name in re.findall(r'"(\w+)"', names.group(1))} | {"SOMO_CONFIG"}
for path in sorted((ROOT / "deploy").rglob("*")):
    if path.is_file():
        for name in sorted(set(re.findall(r"\bSOMO_[A-Z_]+", path.read_text())) - known):
            faults.append(f"{path.relative_to(ROOT)}: {name} is no setting")

sys.exit("\n".join(faults) or None)
