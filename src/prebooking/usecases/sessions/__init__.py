"""The members' AimHarder sessions: signed in, connected, refreshed, checked before openings."""
