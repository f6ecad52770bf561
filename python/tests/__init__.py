"""Tests of what runs in the app's interpreter. From the top of the repository:

python3 -m unittest discover -s python/tests -t python
"""
