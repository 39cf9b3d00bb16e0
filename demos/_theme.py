"""The page's theme: system fonts, a primary hue that reads on white and on black, our style sheet."""

from pathlib import Path

import gradio as gr

CSS = Path(__file__).parent / "page" / "page.css"
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Return the theme; no font is fetched from anywhere."""
    return gr.themes.Default(
        primary_hue="blue", secondary_hue="blue", neutral_hue="slate", text_size="md", spacing_size="sm",
        radius_size="sm", font=SANS, font_mono=MONO,
    ).set(
        button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700", button_primary_text_color="white",
        button_primary_background_fill_hover_dark="*primary_600",
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700", block_label_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
        link_text_color="*primary_700", link_text_color_dark="*primary_300",
    )
