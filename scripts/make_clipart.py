"""Make lexnet/data/clipart/ and lexnet/data/clipart.csv from Debian's public-domain clip art.

    apt-get install openclipart-png openclipart-svg     # both 1:0.18+dfsg-19
    python scripts/make_clipart.py                      # Pillow 13.0; about 20 seconds

A picture is flattened on white, trimmed to what is drawn, shrunk to 160 px and reduced to 48 colours. It is
left out where its SVG does not state the public domain, where it nearly equals one already taken, and where
DROPPED names it: looked at by eye, it is in the wrong folder, broken or nearly blank, a recolouring or the
outline of another, a trade mark, a weapon, or an old flag. The same packages and Pillow give the same bytes.
"""

import csv
import hashlib
import io
import re
import shutil
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageChops

PACKAGE = Path("/usr/share/openclipart")
DATA = Path(__file__).parents[1] / "lexnet" / "data"
SOURCE = "Open Clip Art Library 0.18 (openclipart.org), Debian package openclipart-png 1:0.18+dfsg-19"
LICENCE = (  # as /usr/share/doc/openclipart-png/copyright puts it
    "Creative Commons Public Domain Dedication (Copyright-Only Dedication or Public Domain Certification)"
)
CC, DC = "http://web.resource.org/cc/", "http://purl.org/dc/elements/1.1/"

SIDE = 160  # px, the longest side
SMALLEST = 64  # px: below this a trimmed original is too coarse to keep
LARGEST = 50_000_000  # pixels: above this an original takes seconds to decode
COLOURS = 48
MOST = 60  # pictures of one class
NEAR_SHAPE, NEAR_COLOUR = 24, 12.0  # of 256 bits, of 255 grey levels: closer in both is a near duplicate

# fmt: off
CLASSES = {  # class: the folders and files it comes from; a picture linked from several belongs to the first
    "birds": """
        animals/birds/* animals/pinguino_col_piccolo_arc_01 animals/tux_head_fco._andrade_01
        unsorted/Pinguino? unsorted/colombo2 unsorted/Anatra unsorted/papera unsorted/pennuto02
        unsorted/gabbiano_piccolo unsorted/struzzo
    """,
    "bugs": "animals/bugs/* animals/mosquito_peterm_01",
    "buildings": """
        buildings/* buildings/homes/*
        unsorted/Condominio unsorted/fattoria unsorted/grattacieli_grigi unsorted/igloo
    """,
    "computers": "computer/hardware/*",
    "desserts": "food/desserts/*",
    "flags": """
        signs_and_symbols/flags/africa/* signs_and_symbols/flags/america/* signs_and_symbols/flags/asia/*
        signs_and_symbols/flags/europe/* signs_and_symbols/flags/oceania/*
    """,
    "fruit": "food/fruit/*",
    "mammals": """
        animals/mammals/* animals/mammals/bears/* animals/mammals/big_cats/* animals/mammals/dogs/*
        animals/mammals/horses/* animals/mammals/housecats/*
    """,
    "music": "recreation/music/*",
    "plants": """
        plants/* plants/flowers/* plants/trees/* plants/trees/evergreen/*
        unsorted/foglie_verdi unsorted/rosa1 unsorted/rosa2 unsorted/rose
    """,
    "tools": """
        tools/* plants/trees/bowsaw* plants/trees/bypasspruner*
        unsorted/carretta_da_cantiere unsorted/guanti__e_pinze unsorted/metro_avvolgibile unsorted/motosega
        unsorted/pinzatrice_grigia unsorted/scala_doppia unsorted/sega_per_legno
    """,
    "vehicles": """
        transportation/vehicles/* transportation/bicycle_* transportation/bike_* transportation/bmw_*
        transportation/car_* transportation/dodge_neon_green* transportation/fire_engine*
        transportation/formula_one* transportation/motorcycle* transportation/pallone*
        transportation/plane_in* transportation/soviet_shuttle* transportation/tramway* transportation/truck_*
        transportation/boating/boat_* transportation/boating/sailing_kids
        transportation/boating/sailboat_illustration transportation/boating/sailing_sunset
        unsorted/Montacarichi unsorted/ambulanza unsorted/betoniera
    """,
}

DROPPED = {  # class: file names without .png
    "birds": """
        baby_tux_rory_mccann_01 ninja_tux_rory_mccann_01
        contour_bat mirjam_meijer_mirjam_mei_01 turkey_on_platter_01 wing_mitchell_johnson_si_
        duck_yellow_ii_kurt_cagl_
        ralf_ark.in-berlin.de_ra_01 flamand_bw_jean-victor_b_01 seagull_contour_nicu_buc_01
    """,
    "bugs": """
        lumaca_architetto_france_01 lumaca_turbo_architetto__01
        bee2_mimooh_01 virus_andreas_nilsson_01 zanzara_cretina_architet_01
    """,
    "buildings": """
        brick_frouke_01 capitello_modanatura_mo_01 old_sign_ganson school_hallway_gerald_g._01 wall wall1
        demolizione_costruzione_01 city_horizon_jon_phillip_01 houses_jon_phillips_01
        pinkhome-simple us_capitol_building_ink_01
    """,
    "computers": """
        8port_switch_denco firewall_denco_01 router_joeseph_teed_02 gis-computer_glenn_rolla_01
        laptop_01 schermo_macintosh_archit_01 gameboy_pocket_durex_r rhythmbox digital-camera_aj_ashton_01
        hub_ruairi_hann_r keyboard_01 gnome-fs-client
    """,
    "desserts": """
        cake_mateya_01 candy_21 candy_22 candy_31 cone_soft_vanilla
        cone1_bw_ganson cone2_bw_ganson cone3_bw_ganson cone4_bw_ganson
        cone_alt1_bw cone_alt2_bw cone_alt3_bw cone_alt4_bw cone_soft_bw
        flan_bw_jean-victor_bali_01 flat_cake_bw_jean-victor_01 glace_italienne_bw_jean-_01
        glace_01_bw_jean-victor__01 glace_03_bw_jean-victor__01 glace_05_bw_jean-victor__01
        glace_06_bw_jean-victor__01 glace_2_bw_jean-victor_b_01 glace_4_bw_jean-victor_b_01
        glace_7_bw_jean-victor_b_01 pie_apple_bw pie_cherry_bw pie_pumpkin_bw
    """,
    "flags": """
        arkansas_symbol_ganson canada_umbrella_ganson inuit_inukshuk_gerald_g._01 route_jakob_chaosinfa_
        us_capitol_building_cli_01 us_capitol_building_ink_01 ampelfrau_matthew_gates_01
        ampelmaennchen_matthew_g_01 saxony_coat_of_arms_me_01 rios_de_espana_01 denmark_jutland
        amrum_outline_t._eitel_01 andalusia_01 aragon_01 asturias_01 canarian_islands_01 cantabria_01
        catalunya_01 corsica_patricia_fidi_01 czech_republic_map_lumen_01 euskadi_01 extremadura_01 galicia_01
        map_of_europe_jarno_vasa_01 map_of_slovenia_in_euro_01 murcia_01 ukrainian_map_stepan_kli_01
        ukrainian_map_under_mag_01 _armenia_ani_ani_01 _armenia_ani_ani_02 armenia
        guineabissau canada_flag_ganson national_flag_of_canada1 flag_brazil_crystal_feli_01
        chinese_flag_correct__st_01 israeli_flag_anonymous_01 pakistani_official_flag_01
        south_korea_-_taegeukgi_01 _sweden__richard_torkar_01 andorre_flag_patricia_fi_01
        ukrainian_flag_stepan_kl_01 national_flag_of_the_re_
        iraqi_flag_1959-1963_ano_01 iraq libyan_arab_jamahiriya serbia_and_montenegro netherlands_antilles
        trust_territory_of_the_pacific_islands myanmar
    """,
    "fruit": """
        apple_juice_box apple_juice_box_bw juice_glass_andremarcel._01 candied_apples_ganson champignon_01
        gumnut_black_01 gumnut_shaded_01 kallisti-grenade_1_nurbl_01 eris_apple_nurbldoff_01
        pie_apple pie_apple_bw pie_cherry pie_cherry_bw slate-apple_benji_park_01 straw_tote_linda_kim_01
        tree_whit_fruits_01 turkey_platter_01_with_fruit_and_vegitables_01 tile_orange_gabriel_lo_i_01
        apple_mateya_01 banana_mateya_01 apple_with_worm_dan_gerh_01 pear_jean-victor_balin_01r
        apple_bw apple_wedge_bw grapes_simple_bw lemon_simple_bw orange_simple_bw orange_wedge_bw
        peach_simple_bw pear_simple_bw strawberry_simple_bw watermelon_simple_bw
        lime_half_ganson lime_half_slice_ganson lime_slice_ganson lime_wedge_ganson lime_whole_ganson
        rondelle_orange_01 lime_half_jarno_vasamaa_
    """,
    "mammals": """
        emule_icon_emule.org_01 cat_scrathing_post_benji_01 sleeping_bear_under_sta_01
        sleeping_bear_under_sta_02 elephant_outline_matthe_r horse_2_konstantin_r._01 mechorse dolphin_01
        mhooo_peterm_ shaezy_peterm_ skoynk_peterm_ squeek_peterm_ toro_al_tramonto_archite_01
        b_w_tiger_susan_park_01 dog_01_drawn_with_strai_02 dog_02_drawn_with_strai_01
        dog_on_leash_gerald_g._02 sleeping_cat_rgolan_sup_r angry_monkey_benji_park_01
        le_mie_tigri_preferite_a_01 crazy_monkey_shandy_brow_01 cartoon_vgcats_fanart_01
    """,
    "music": """
        a_man_singing_01 bach_ganson beethoveo_ganson handel_ganson
        45_rpm_record_gerald_g._02 45_rpm_record_gerald_g._03 45_rpm_record_gerald_g._04
        45_rpm_records_gerald_g._02 cello_mo_02 violin_mo_01 piano_theory_ganson1
        trumpet_b_flat__ganson trumpet_pocket__ganson violin_ganson double_note_two_jean-vic_01
        jazz_enrique_meza_c_01 war_drum_enrique_meza_c_01
    """,
    "plants": """
        human_humain_umano_sed_r bowsaw_benji_park_01 bypasspruner_benji_park_01 christmas_balls_mo_01
        cannabis_leaf_anonymous_ potato_nicu_buculei_01 cayennepepperrevisited_d_01 champignon_01
        mushroom mushroom_benji_park_ toadstool_daniel_steele_r mirjam_meijer_mirjam_mei_01
        arbre_modern_bw_jean-vic_01 olivier_one_bw_jean-vict_01 bamboo_01 flower2_juliane_krug_01
        flower_02 magnolia_white_patricia__01 red_flower_03 gumnut_black_01
        lightly_decorated_evergreen_01
    """,
    "tools": """
        airbrush_alejandro_tejad_ binocolo_bn_architetto_f_01 blue_vacuum_cleaner_jaim_01
        bottle_jean_victor_balin_ bucket_michael_moore_ calamita_architetto_fran_01
        cellular_phone_shandy_br_ chiave_architetto_france_01 cog_01 compass_01
        digital_camera_nicu_bucu_01 electric_lighter_joel_mo_01 engrenagem_01
        ferro_da_stiro_architett_01 gallows_frouke_01 green_burner_01 hurricane_lamp_ganson
        insecticide_nicu_buculei_01 insecticide_nicu_buculei_02 ironing_board_gerald_g._01
        kexi_kexi_team_01 key_jordan_wiens_01 keyring_as_ lampada_di_aladino_alad_01
        lente_meno_architetto_fr_01 lock lock_-_open_afief_halumi_01 mag2 mag3 mag4
        mattone_poroton_architet_01 metal_cage_kurt_nordstro_ natural_gas_pump_well_jo_01
        nodding_donkey_kevin_cow_01 nunchaku_sergio_luiz_ara_01 orange_burner_01 padlock_aj_ashton_01
        paint_roller_banner_gera_01 paint_roller_border_gera_01 paint_roller_wall_gerald_01
        pan_frouke_01 panel_fudriot_omic.ch_01 pansement_jean_victor_ba_ route_jakob_chaosinfa_
        ruota_dentata_2_architet_01 ruota_dentata_architetto_01 ruota_dentata_grigia_2_a_01
        ruota_dentata_grigia_arc_01 scalpel_jon_campbell_01 scart_connector_pinout_s_02
        scolapasta_e_pentola_arc_01 smoke_nicu_buculei_01 smoke_nicu_buculei_02 smoke_nicu_buculei_03
        stefan_graubner_stefan_g_01 thermometer_www.jonasste_01 toothbrush_and_paste_ganson umbrella
        vacuum_cleaner_mariusz_k_01 vavuum_cleaner_-_uprigh_01
    """,
    "vehicles": """
        lighthouse_01 sledge_01 the_mad_little_ship_core_01 toy_paper_plane_01 wing_mitchell_johnson_si_
        crossroads curve_ahead cycle_lane cycle_route parking_romus_01 quay_sign_01
        hummer_01 hummer_02 m1_abrams_main_battle_tank_01 military_airplane_mo_01
        1989_chevrolet_celebrit_02 bus1_bw_jarno_vasamaa_01 bus2_bw_jarno_vasamaa_01
        shelby_cobra_blueprint_i_01 shelby_cobra_car_bluepr_ redcar_marcelo_caiafa_
    """,
}
# fmt: on


def candidates(name: str) -> list[Path]:
    """The class's originals that were not dropped, links followed, in an order that no folder dominates."""
    png = PACKAGE / "png"
    paths = [path for pattern in CLASSES[name].split() for path in png.glob(f"{pattern}.png")]
    dropped = {path.resolve() for path in paths if path.stem in DROPPED[name].split()}
    wanted = {path.resolve() for path in paths} - dropped
    return sorted(wanted, key=lambda path: hashlib.sha256(str(path.relative_to(png)).encode()).digest())


def shrink(path: Path) -> Image.Image | None:
    """The picture on white, trimmed, at most SIDE px; None where it is blank, too small or too large."""
    with Image.open(path) as picture:
        if picture.width * picture.height > LARGEST:
            return None
        drawn = picture.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    box = ImageChops.invert(flat).point(lambda value: value > 16 and 255).getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < SMALLEST:
        return None
    flat = flat.crop(box)
    flat.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return flat


def fingerprint(picture: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Of 16 x 16 cells: is the one on the right lighter (256 bits), and the colour, (16, 16, 3)."""
    grey = np.asarray(picture.convert("L").resize((17, 16), Image.Resampling.BOX), np.int16)
    colours = np.asarray(picture.resize((16, 16), Image.Resampling.BOX), np.int16)
    return grey[:, 1:] > grey[:, :-1] + 2, colours


def near(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    shape = np.count_nonzero(one[0] != other[0])
    return bool(shape <= NEAR_SHAPE and np.abs(one[1] - other[1]).mean() <= NEAR_COLOUR)


def encode(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def credit(path: Path) -> tuple[str, str] | None:
    """(title, author) from the drawing's own SVG; None unless that SVG dedicates it to the public domain."""
    drawing = (PACKAGE / "svg" / path.relative_to(PACKAGE / "png")).with_suffix(".svg")
    work = ElementTree.parse(drawing).find(f".//{{{CC}}}Work") if drawing.exists() else None
    licence = None if work is None else work.find(f"{{{CC}}}license")
    if work is None or licence is None or f"{CC}PublicDomain" not in licence.attrib.values():
        return None
    creator = work.find(f"{{{DC}}}creator")
    author = "" if creator is None else "".join(creator.itertext())
    return one_line(work.findtext(f"{{{DC}}}title") or ""), one_line(author)


def one_line(text: str) -> str:
    """No line breaks, no mail addresses, no HASH(0x...) left by a script that once failed."""
    return " ".join(re.sub(r"\S+@\S+|HASH\(0x\w+\)", "", text).split())


def slug(path: Path) -> str:
    ascii_name = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", ascii_name).strip("_")


def main() -> None:
    taken: set[Path] = set()
    prints: list[tuple[np.ndarray, np.ndarray]] = []
    rows: list[tuple[str, ...]] = []
    shutil.rmtree(DATA / "clipart", ignore_errors=True)
    for name in CLASSES:
        (DATA / "clipart" / name).mkdir(parents=True)
        kept = 0
        for path in candidates(name):
            if kept == MOST:
                break
            if path in taken or (credits := credit(path)) is None or (picture := shrink(path)) is None:
                continue
            mark = fingerprint(picture)
            if any(near(mark, other) for other in prints):
                continue
            file = f"clipart/{name}/{slug(path)}.png"
            with open(DATA / file, "xb") as target:
                target.write(encode(picture))
            taken.add(path)
            prints.append(mark)
            rows.append((file, name, str(path.relative_to(PACKAGE)), *credits, LICENCE, SOURCE))
            kept += 1
    with open(DATA / "clipart.csv", "w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("file", "class", "original", "title", "author", "licence", "source"))
        writer.writerows(sorted(rows))


if __name__ == "__main__":
    main()
