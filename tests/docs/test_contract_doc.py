"""docs/contract.md says what the table of the contract test says."""

from __future__ import annotations

import sys

from pages import ROOT

sys.path.insert(0, str(ROOT / "tests/wm_sim/contract"))


def test_the_page_is_up_to_date():
    from contract_page import PAGE, page

    text = PAGE.read_text()
    assert text == page(text), "run python tests/wm_sim/contract/contract_page.py"
