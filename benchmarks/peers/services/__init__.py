"""The service in each server, one small file each; each runs in a virtual environment of its own.

Run by benchmarks.peers.service: python -m benchmarks.peers.services.NAME, with a Setting in the
environment.
"""
