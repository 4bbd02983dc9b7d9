#!/usr/bin/env python3
"""Bytes that a node's links have sent and received since its start."""
import re
import sys
import urllib.request

page = urllib.request.urlopen(f"http://{sys.argv[1]}/metrics", timeout=2).read().decode()
print(sum(float(value) for value in re.findall(r'counter="links_bytes_(?:in|out)"} (\S+)', page)))
