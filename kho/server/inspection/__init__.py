"""Reading what strangers packed: a process of its own, with little memory and little time.

    worker ──► process.py ══ socket ══► __main__.py ──► listing.py or taking.py ──► kho.layers
       ▲                                     │
       └──────────── frames.py ◄═════════════┘

It imports `kho.layers` and nothing of the server, and knows neither its settings nor its database.
"""
