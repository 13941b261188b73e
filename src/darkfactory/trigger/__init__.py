"""Trigger emulation: menus as data, decisions of two levels, efficiencies, rates and differences of menus."""
