"""The classes of published datasets, with the number of images of each.

A copy with other classes or counts would draw other images under the name of the set.
"""

import hashlib
from collections.abc import Mapping


def _read(text: str) -> Mapping[str, int]:
    """Return the counts by class of a list `NAME COUNT, NAME COUNT`; names may have spaces."""
    entries = (entry.strip().rpartition(" ") for entry in text.split(","))
    return {name: int(count) for name, _, count in entries}


def hash_counts(counts: Mapping[str, int]) -> str:
    """Return the SHA-256 of lines `NAME COUNT`, sorted by name."""
    return hashlib.sha256("".join(f"{name} {counts[name]}\n" for name in sorted(counts)).encode()).hexdigest()


#: of LFW, whose list is long: 5,749 people, 13,233 images
LFW_CHECKSUM = "2b79651019998b0ed75021e6a53ef2632ec3acba14e205c2c8379a90da5d0e31"


#: 102 classes, 9,144 images: 8,677 and 467 of the background
CALTECH101 = _read(
    """
    BACKGROUND_Google 467, Faces 435, Faces_easy 435, Leopards 200, Motorbikes 798, accordion 55, airplanes 800,
    anchor 42, ant 42, barrel 47, bass 54, beaver 46, binocular 33, bonsai 128, brain 98, brontosaurus 43,
    buddha 85, butterfly 91, camera 50, cannon 43, car_side 123, ceiling_fan 47, cellphone 59, chair 62,
    chandelier 107, cougar_body 47, cougar_face 69, crab 73, crayfish 70, crocodile 50, crocodile_head 51,
    cup 57, dalmatian 67, dollar_bill 52, dolphin 65, dragonfly 68, electric_guitar 75, elephant 64, emu 53,
    euphonium 64, ewer 85, ferry 67, flamingo 67, flamingo_head 45, garfield 34, gerenuk 34, gramophone 51,
    grand_piano 99, hawksbill 100, headphone 42, hedgehog 54, helicopter 88, ibis 80, inline_skate 31,
    joshua_tree 64, kangaroo 86, ketch 114, lamp 61, laptop 81, llama 78, lobster 41, lotus 66, mandolin 43,
    mayfly 40, menorah 87, metronome 32, minaret 76, nautilus 55, octopus 35, okapi 39, pagoda 47, panda 38,
    pigeon 45, pizza 53, platypus 34, pyramid 57, revolver 82, rhino 59, rooster 49, saxophone 40, schooner 63,
    scissors 39, scorpion 84, sea_horse 57, snoopy 35, soccer_ball 64, stapler 45, starfish 86, stegosaurus 59,
    stop_sign 64, strawberry 35, sunflower 85, tick 49, trilobite 86, umbrella 75, watch 239, water_lilly 37,
    wheelchair 59, wild_cat 34, windsor_chair 56, wrench 39, yin_yang 60
    """
)

#: 256 classes without the clutter, 29,780 images
CALTECH256 = _read(
    """
    001.ak47 98, 002.american-flag 97, 003.backpack 151, 004.baseball-bat 127, 005.baseball-glove 148,
    006.basketball-hoop 90, 007.bat 106, 008.bathtub 232, 009.bear 102, 010.beer-mug 94, 011.billiards 278,
    012.binoculars 216, 013.birdbath 98, 014.blimp 86, 015.bonsai-101 122, 016.boom-box 91, 017.bowling-ball 104,
    018.bowling-pin 101, 019.boxing-glove 124, 020.brain-101 83, 021.breadmaker 142, 022.buddha-101 97,
    023.bulldozer 110, 024.butterfly 112, 025.cactus 114, 026.cake 106, 027.calculator 100, 028.camel 110,
    029.cannon 103, 030.canoe 104, 031.car-tire 90, 032.cartman 101, 033.cd 102, 034.centipede 100,
    035.cereal-box 87, 036.chandelier-101 106, 037.chess-board 120, 038.chimp 110, 039.chopsticks 85,
    040.cockroach 124, 041.coffee-mug 87, 042.coffin 87, 043.coin 124, 044.comet 121, 045.computer-keyboard 85,
    046.computer-monitor 133, 047.computer-mouse 94, 048.conch 103, 049.cormorant 106, 050.covered-wagon 97,
    051.cowboy-hat 114, 052.crab-101 85, 053.desk-globe 82, 054.diamond-ring 118, 055.dice 98, 056.dog 102,
    057.dolphin-101 106, 058.doorknob 93, 059.drinking-straw 83, 060.duck 87, 061.dumb-bell 102,
    062.eiffel-tower 83, 063.electric-guitar-101 122, 064.elephant-101 131, 065.elk 101, 066.ewer-101 83,
    067.eyeglasses 83, 068.fern 110, 069.fighter-jet 99, 070.fire-extinguisher 84, 071.fire-hydrant 99,
    072.fire-truck 118, 073.fireworks 100, 074.flashlight 115, 075.floppy-disk 83, 076.football-helmet 84,
    077.french-horn 92, 078.fried-egg 90, 079.frisbee 99, 080.frog 116, 081.frying-pan 95, 082.galaxy 81,
    083.gas-pump 95, 084.giraffe 84, 085.goat 112, 086.golden-gate-bridge 80, 087.goldfish 93, 088.golf-ball 98,
    089.goose 110, 090.gorilla 212, 091.grand-piano-101 95, 092.grapes 201, 093.grasshopper 112,
    094.guitar-pick 104, 095.hamburger 86, 096.hammock 285, 097.harmonica 89, 098.harp 100, 099.harpsichord 80,
    100.hawksbill-101 93, 101.head-phones 138, 102.helicopter-101 88, 103.hibiscus 111, 104.homer-simpson 97,
    105.horse 270, 106.horseshoe-crab 87, 107.hot-air-balloon 89, 108.hot-dog 85, 109.hot-tub 156,
    110.hourglass 85, 111.house-fly 84, 112.human-skeleton 84, 113.hummingbird 116, 114.ibis-101 120,
    115.ice-cream-cone 88, 116.iguana 107, 117.ipod 121, 118.iris 108, 119.jesus-christ 87, 120.joy-stick 130,
    121.kangaroo-101 82, 122.kayak 103, 123.ketch-101 111, 124.killer-whale 91, 125.knife 101, 126.ladder 242,
    127.laptop-101 128, 128.lathe 105, 129.leopards-101 190, 130.license-plate 91, 131.lightbulb 92,
    132.light-house 190, 133.lightning 136, 134.llama-101 119, 135.mailbox 93, 136.mandolin 93, 137.mars 156,
    138.mattress 192, 139.megaphone 86, 140.menorah-101 89, 141.microscope 117, 142.microwave 107,
    143.minaret 130, 144.minotaur 82, 145.motorbikes-101 798, 146.mountain-bike 82, 147.mushroom 202,
    148.mussels 174, 149.necktie 103, 150.octopus 111, 151.ostrich 109, 152.owl 120, 153.palm-pilot 93,
    154.palm-tree 103, 155.paperclip 92, 156.paper-shredder 96, 157.pci-card 105, 158.penguin 149,
    159.people 209, 160.pez-dispenser 83, 161.photocopier 103, 162.picnic-table 91, 163.playing-card 90,
    164.porcupine 101, 165.pram 88, 166.praying-mantis 92, 167.pyramid 86, 168.raccoon 140,
    169.radio-telescope 92, 170.rainbow 102, 171.refrigerator 84, 172.revolver-101 99, 173.rifle 106,
    174.rotary-phone 84, 175.roulette-wheel 83, 176.saddle 110, 177.saturn 96, 178.school-bus 98,
    179.scorpion-101 80, 180.screwdriver 102, 181.segway 100, 182.self-propelled-lawn-mower 120, 183.sextant 100,
    184.sheet-music 84, 185.skateboard 103, 186.skunk 81, 187.skyscraper 95, 188.smokestack 88, 189.snail 119,
    190.snake 112, 191.sneaker 111, 192.snowmobile 112, 193.soccer-ball 174, 194.socks 112, 195.soda-can 87,
    196.spaghetti 104, 197.speed-boat 100, 198.spider 108, 199.spoon 105, 200.stained-glass 100,
    201.starfish-101 81, 202.steering-wheel 97, 203.stirrups 91, 204.sunflower-101 80, 205.superman 87,
    206.sushi 98, 207.swan 115, 208.swiss-army-knife 109, 209.sword 102, 210.syringe 111, 211.tambourine 95,
    212.teapot 136, 213.teddy-bear 101, 214.teepee 139, 215.telephone-box 84, 216.tennis-ball 98,
    217.tennis-court 105, 218.tennis-racket 81, 219.theodolite 84, 220.toaster 94, 221.tomato 103,
    222.tombstone 91, 223.top-hat 80, 224.touring-bike 110, 225.tower-pisa 90, 226.traffic-light 99,
    227.treadmill 147, 228.triceratops 95, 229.tricycle 95, 230.trilobite-101 94, 231.tripod 112,
    232.t-shirt 358, 233.tuning-fork 100, 234.tweezer 122, 235.umbrella-101 114, 236.unicorn 97, 237.vcr 90,
    238.video-projector 97, 239.washing-machine 84, 240.watch-101 201, 241.waterfall 95, 242.watermelon 93,
    243.welding-mask 90, 244.wheelbarrow 91, 245.windmill 91, 246.wine-bottle 101, 247.xylophone 92,
    248.yarmulke 84, 249.yo-yo 100, 250.zebra 96, 251.airplanes-101 800, 252.car-side-101 116,
    253.faces-easy-101 435, 254.greyhound 95, 255.tennis-shoes 103, 256.toad 108
    """
)

#: 83 people, 13,838 images
PUBFIG83 = _read(
    """
    Adam Sandler 108, Alec Baldwin 103, Angelina Jolie 214, Anna Kournikova 171, Ashton Kutcher 101,
    Avril Lavigne 299, Barack Obama 268, Ben Affleck 117, Beyonce Knowles 126, Brad Pitt 300, Cameron Diaz 246,
    Cate Blanchett 160, Charlize Theron 195, Christina Ricci 143, Claudia Schiffer 122, Clive Owen 134,
    Colin Farrell 145, Colin Powell 112, Cristiano Ronaldo 168, Daniel Craig 168, Daniel Radcliffe 246,
    David Beckham 187, David Duchovny 149, Denise Richards 200, Drew Barrymore 152, Dustin Hoffman 100,
    Ehud Olmert 130, Eva Mendes 135, Faith Hill 115, George Clooney 227, Gordon Brown 102, Gwyneth Paltrow 253,
    Halle Berry 110, Harrison Ford 150, Hugh Jackman 157, Hugh Laurie 168, Jack Nicholson 101,
    Jennifer Aniston 230, Jennifer Lopez 129, Jennifer Love Hewitt 107, Jessica Alba 175, Jessica Simpson 300,
    Joaquin Phoenix 108, John Travolta 132, Julia Roberts 132, Julia Stiles 132, Kate Moss 153, Kate Winslet 134,
    Katherine Heigl 257, Keira Knightley 195, Kiefer Sutherland 135, Leonardo DiCaprio 199, Lindsay Lohan 354,
    Mariah Carey 102, Martha Stewart 108, Matt Damon 154, Meg Ryan 210, Meryl Streep 146, Michael Bloomberg 102,
    Mickey Rourke 119, Miley Cyrus 367, Morgan Freeman 108, Nicole Kidman 185, Nicole Richie 188,
    Orlando Bloom 260, Reese Witherspoon 157, Renee Zellweger 133, Ricky Martin 143, Robert Gates 100,
    Sania Mirza 128, Scarlett Johansson 273, Shahrukh Khan 152, Shakira 201, Sharon Stone 206,
    Silvio Berlusconi 121, Stephen Colbert 124, Steve Carell 166, Tom Cruise 197, Uma Thurman 167,
    Victoria Beckham 134, Viggo Mortensen 112, Will Smith 128, Zac Efron 193
    """
)
