"""The live view: a page in the browser over the running graph or over a recording.

message -> :mod:`compact` rows -> :class:`collector.Collector` -> :class:`parts.Parts` -> page

A source (:mod:`graph` or :mod:`recorded`) fills the collector when it is asked to; the server
(:mod:`server`) asks only while somebody watches, and sends each watcher the newest parts.
"""
