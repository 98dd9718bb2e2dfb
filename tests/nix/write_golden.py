"""Write the golden files and the option manual anew: `make golden`."""

import shutil

from support.golden import GOLDEN, OPTIONS, rendered_options, rendered_files


def main() -> None:
    files = rendered_files()
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for name, text in files.items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    OPTIONS.write_text(rendered_options(), encoding="utf-8")
    print(f"{len(files)} files, {OPTIONS.name}")


if __name__ == "__main__":
    main()
