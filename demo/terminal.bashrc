# The demonstration's shell: what its terminal shows first.
PS1='\[\e[38;5;109m\]\w\[\e[0m\] \[\e[38;5;180m\]❯\[\e[0m\] '
alias ls='ls --color=auto --group-directories-first'
alias ll='ls -l --human-readable'
cd ~/Documents || true
printf '\n  \e[1;38;5;180mchevet\e[0m  demonstration desktop\n\n'
printf '  A real shell on a real X11 display. Type, scroll, move windows;\n'
printf '  the desktop follows the size of the window you watch it in.\n'
printf '  A right click on the background opens the menu.\n\n'
ls -l --human-readable --time-style=+ | sed "s,^,  ,"
printf '\n'
printf "  "
for shade in 16 17 18 24 31 67 109 144 180 216 223 230; do printf '\e[48;5;%sm    ' "$shade"; done
printf '\e[0m\n\n'
