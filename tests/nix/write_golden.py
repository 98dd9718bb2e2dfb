"""Write the golden files, the option manual and the tables of the security page anew: `make golden`."""

import shutil

from support import security_page
from support.golden import GOLDEN, OPTIONS, rendered_files, rendered_options


def main() -> None:
    files = rendered_files()
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for name, text in files.items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    OPTIONS.write_text(rendered_options(), encoding="utf-8")
    security_page.main()
    print(f"{len(files)} files, {OPTIONS.name}, {security_page.PAGE.name}")


if __name__ == "__main__":
    main()
