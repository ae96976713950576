"""Pictures that no photo set has, drawn by code: texts, screenshots, charts, cartoons, patterns."""
