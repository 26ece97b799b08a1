"""Kraken's spot REST protocol, as ccxt's unmodified `kraken` client speaks it.

Answers are HTTP 200 with `{"error": […], "result": …}`; a refusal is a word such as
`EOrder:Insufficient funds`. AddOrder answers with an id only. A key's nonces must increase.

Sources: docs.kraken.com, its REST pages and its guides on errors, rate limits and `cl_ord_id`
(2026-05), and the answers quoted in ccxt 4.5.90. What neither states is chosen here, strictly,
and marked "assumed".
"""
