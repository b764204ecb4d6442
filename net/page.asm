; SPDX-License-Identifier: MIT
; net/page.asm - the page at "/", as it is in page.html.

section .rodata
global page_html, page_html_size
page_html:
	incbin "net/page.html"
page_html_size:
	dq $ - page_html

section .note.GNU-stack noalloc noexec nowrite progbits
