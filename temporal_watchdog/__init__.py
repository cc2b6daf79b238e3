"""Watches over a running script. Nothing needs this folder, and nobody has to read it.

Without it nothing reports what is not registered, what holds a script up or what it left running; a
full log pipe, or code that holds the GIL, can keep a script from stopping.
"""
