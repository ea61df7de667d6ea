"""Asks the public advisories about everything that is installed: `make audit`. Exit code 1 for a known vulnerability.

Where the advisories cannot be asked (no network, a mirror that is not PyPI) nothing is known, and that is said.
"""

import json
import subprocess
import sys

PATIENCE_S = 300


def main() -> int:
    program, packages = sys.argv[1:]
    command = [program, "--path", packages, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        dependencies = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as ex:
        print(f"NOT AUDITED: the advisories could not be asked ({type(ex).__name__}).", file=sys.stderr)
        return 0
    asked = [each for each in dependencies if "skip_reason" not in each]
    found = [(each["name"], each["version"], bad["id"]) for each in asked for bad in each["vulns"]]
    for name, version, advisory in found:
        print(f"{name} {version}: {advisory}")
    unknown = "" if len(asked) == len(dependencies) else f", NOT AUDITED: {len(dependencies) - len(asked)}"
    print(f"audited: {len(asked)} packages, vulnerable: {len({name for name, *_ in found})}{unknown}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
