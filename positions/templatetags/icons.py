"""Draw icons and category marks from the symbols the base page carries."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


def _symbol(reference: str, css_class: str, label: str) -> SafeString:
    if not label:
        # Beside a word an icon says nothing new: assistive technology skips it.
        return format_html(
            '<svg class="{}" aria-hidden="true" focusable="false"><use href="#{}"/></svg>',
            css_class,
            reference,
        )
    return format_html(
        '<svg class="{}" role="img" aria-label="{}" focusable="false">'
        '<title>{}</title><use href="#{}"/></svg>',
        css_class,
        label,
        label,
        reference,
    )


@register.simple_tag
def icon(name: str, label: str = "", size: str = "") -> SafeString:
    """Return the icon called `name`; `size` is "s", "l" or empty, `label` what it says alone."""
    return _symbol(f"i-{name}", f"icon icon--{size}" if size else "icon", label)


@register.simple_tag
def mark(category: str, hollow: bool = False, label: str = "") -> SafeString:
    """Return the shape of a category; hollow says that it can't be closed now."""
    name = str(category).lower()
    css_class = f"mark mark--{name} mark--hollow" if hollow else f"mark mark--{name}"
    return _symbol(f"m-{name}", css_class, label)
