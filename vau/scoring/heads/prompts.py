"""Learned tokens around class names, read by a frozen OpenCLIP text tower that is given as an object.

Only the tokens are parameters of this module, so a state dict of it holds no weight of the tower. After training the
texts are computed once and kept as plain embeddings. Source: Zhou et al., CoOp, 2022; VadCLIP (10 tokens before and 10
after the words, standard deviation 0.01); LaGoVAD (32 before). Tokens are shared by all classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vau.errors import InputError

_FILLER = "x"  # a word of one token, whose embeddings the learned ones replace


class PromptedTexts(nn.Module):
    """Class names with learned tokens, as text embeddings; called without arguments, since the names are fixed."""

    def __init__(
        self,
        model: Any,
        tokenizer: Callable[[list[str]], Tensor],
        names: Sequence[str],
        *,
        before: int = 10,
        after: int = 10,
    ) -> None:
        """Prepares the names.

        Args:
            model: an OpenCLIP model; its text tower is used as it is and never trained.
            tokenizer: the model's, texts -> (n, L) token ids that end with the largest id.
            names: class names, the normal one first.
            before: learned tokens in front of a name.
            after: learned tokens behind it.

        Raises:
            InputError: a name leaves no room for the tokens, or the tokenizer has no start and end tokens.
        """
        super().__init__()
        tower = getattr(model, "text", model)
        self._model, self._embedding = (model,), (tower.token_embedding,)  # tuples: kept out of parameters
        device = tower.token_embedding.weight.device
        ids = tokenizer([" ".join([_FILLER] * before + [name] + [_FILLER] * after) for name in names]).to(device)
        filler = int(tokenizer([_FILLER])[0, 1])
        ends = ids.argmax(dim=1, keepdim=True)
        steps = torch.arange(ids.shape[1], device=device)
        places = ((steps >= 1) & (steps <= before)) | ((steps >= ends - after) & (steps < ends))
        for name, row, place in zip(names, ids, places, strict=True):
            if int(place.sum()) != before + after or not bool((row[place] == filler).all()):
                raise InputError(f"{name[:60]!r} leaves no room for {before + after} learned tokens; shorten it")
        self._ids, self._places = ids, places
        self.tokens = nn.Parameter(0.01 * torch.randn(before + after, tower.token_embedding.embedding_dim))

    def forward(self) -> Tensor:
        """Returns (n, E) unit-norm text embeddings with a gradient to the learned tokens."""
        hook = self._embedding[0].register_forward_hook(self._insert)
        frozen = [item for item in self._model[0].parameters() if item.requires_grad]
        try:
            for item in frozen:
                item.requires_grad_(False)
            out = self._model[0].encode_text(self._ids)
        finally:
            hook.remove()
            for item in frozen:
                item.requires_grad_(True)
        return functional.normalize(out.float(), dim=-1)

    def _insert(self, _module: nn.Module, _inputs: tuple[Tensor, ...], words: Tensor) -> Tensor:
        learned = self.tokens.to(words.dtype).repeat(len(words), 1)
        return words.masked_scatter(self._places[..., None], learned)
