"""The account's key: the ``value``, and where it is found.

``chain`` searches the ``places`` where people keep a key. Some of them are ``files``; where a file only says how to log
in, ``vendor`` asks the vendor's own providers.
"""
