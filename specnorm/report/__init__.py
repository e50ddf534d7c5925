"""What a person sees of a comparison: pictures, tables, a page, and the folder that holds them."""
