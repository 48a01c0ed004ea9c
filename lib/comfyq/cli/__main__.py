from comfyq.cli import main

main()
