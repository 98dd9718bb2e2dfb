"""Write the golden unit texts and the option manual anew: `make golden`."""

import shutil

from support.golden import GOLDEN, OPTIONS, rendered_options, rendered_units


def main() -> None:
    units = rendered_units()
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for name, text in units.items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    OPTIONS.write_text(rendered_options(), encoding="utf-8")
    print(f"{len(units)} units, {OPTIONS.name}")


if __name__ == "__main__":
    main()
