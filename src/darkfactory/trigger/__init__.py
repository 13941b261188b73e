"""Trigger emulation."""
