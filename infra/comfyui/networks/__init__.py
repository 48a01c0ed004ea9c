"""The tensors of small networks that ComfyUI recognises, as names and shapes with a fill.

Each function returns a `Network`; nothing here needs torch, numpy or ComfyUI.
"""
