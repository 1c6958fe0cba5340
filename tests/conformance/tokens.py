"""Makes random tokens: valid ones, and tokens with known faults."""

import re

# Each of these modules adds its mutations to MUTATIONS.  The random tokens of a seed depend on the order of the list.
import header_mutations  # noqa: F401
import signature_mutations  # noqa: F401
import claim_mutations  # noqa: F401
import form_mutations  # noqa: F401
from drafts import good_draft
from mutations import MUTATIONS, Unfit


def make_token(faults, rnd, providers, keys):
    """(draft, token) with these faults, or None if they exclude each other."""
    for _ in range(40):
        draft = good_draft(rnd, providers)
        draft.all_keys = keys
        try:
            for _, _, mutate in faults:
                mutate(draft, rnd)
            token = draft.token()
        except (Unfit, ValueError, TypeError, AttributeError, KeyError):
            continue
        # An HTTP header cannot carry line breaks, nor white space at its ends.
        if token and not re.search(r"[\r\n]", token) and token == token.strip():
            return draft, token
    return None


def make_tokens(count, rnd, providers, keys):
    """A list of (route, token, names of the faults, expected verdict if there is exactly one fault, else None)."""
    tokens = []
    while len(tokens) < count:
        faults = rnd.sample(MUTATIONS, rnd.choices([0, 1, 2, 3], weights=[25, 60, 10, 5])[0])
        made = make_token(faults, rnd, providers, keys)
        if made is None:
            continue
        draft, token = made
        # If a route has several providers, another provider may refuse the token for another reason.
        word = faults[0][1] if len(faults) == 1 and draft.route == draft.provider.name else None
        tokens.append((draft.route, token, [name for name, _, _ in faults], word))
    return tokens
