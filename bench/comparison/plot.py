"""A run's ratios as an SVG: one bar for each scenario, a mark where its goal is."""

from html import escape

ROW, LABEL, WIDTH, MOST = 22, 200, 420, 2.0


def svg(stored: dict[str, dict], title: str) -> str:
    """`stored` is the "scenarios" part of a result. Bars longer than twice the better of the others are cut there."""
    rows = [(name, s["ratio"], s["goal"]) for name, s in stored.items() if s["ratio"] is not None]
    scale, height = WIDTH / MOST, ROW * (len(rows) + 2)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDTH + 80}" height="{height}" '
             'font-family="sans-serif" font-size="12">', f'<rect width="100%" height="{height}" fill="white"/>',
             f'<text x="8" y="16">{escape(title)}</text>']
    for i, (name, ratio, goal) in enumerate(rows):
        y = ROW * (i + 1) + 4
        colour = "#888" if goal is None else "#2a7" if ratio <= goal else "#c55"
        parts += [f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
                  f'<rect x="{LABEL}" y="{y}" width="{min(ratio, MOST) * scale:.1f}" height="{ROW - 8}" fill="{colour}"/>',
                  f'<text x="{LABEL + min(ratio, MOST) * scale + 6:.1f}" y="{y + 12}">{ratio:.2f}</text>']
        if goal is not None:
            parts.append(f'<line x1="{LABEL + goal * scale:.1f}" x2="{LABEL + goal * scale:.1f}" y1="{y - 3}" '
                         f'y2="{y + ROW - 5}" stroke="black"/>')
    parts.append(f'<line x1="{LABEL + scale}" x2="{LABEL + scale}" y1="{ROW}" y2="{height - ROW + 6}" stroke="#999" '
                 'stroke-dasharray="3"/></svg>')
    return "\n".join(parts) + "\n"
